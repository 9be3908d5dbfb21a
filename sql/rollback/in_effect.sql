-- Rollbacks whose runs have not been published again, oldest first; for a run rolled back more than once, the newest.
WITH missing AS (
    SELECT DISTINCT ON (run.run_id)
        run.run_id,
        rollback.rollback_id
    FROM ops.rollback
    CROSS JOIN unnest(rollback.taken_back) AS run (run_id)
    WHERE NOT EXISTS (SELECT FROM ops.publish WHERE publish.run_id = run.run_id)
    ORDER BY run.run_id, rollback.rollback_id DESC
)

SELECT
    run_id,
    rolled_back_at,
    taken_back,
    shown_run_id
FROM ops.rollback
WHERE rollback_id IN (SELECT missing.rollback_id FROM missing)
ORDER BY rollback_id;
