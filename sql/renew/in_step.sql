-- Whether the star is as it was when the views were refreshed last: so that it holds checked data only.
SELECT
    NOT EXISTS (SELECT FROM ops.publish)
    OR (SELECT run_id FROM ops.publish ORDER BY publish_id DESC LIMIT 1) IN (SELECT run_id FROM marts.freshness);
