-- The newest publish and the one before it: everything written in one transaction is one publish.
SELECT
    array_agg(run_id ORDER BY publish_id) AS run_ids,
    published_by,
    published_at,
    delta_versions
FROM ops.publish
GROUP BY published_by, published_at, delta_versions
ORDER BY max(publish_id) DESC
LIMIT 2;
