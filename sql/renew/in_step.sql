-- Whether the star is unchanged since the views were last refreshed, so that it holds only checked data.
SELECT
    NOT EXISTS (SELECT FROM ops.publish)
    OR (SELECT run_id FROM ops.publish ORDER BY publish_id DESC LIMIT 1) IN (SELECT run_id FROM marts.freshness);
