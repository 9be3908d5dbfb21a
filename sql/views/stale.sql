-- The views that are out of date: never refreshed, or a publish since then changed a table that they read.
WITH input AS (
    SELECT
        view.relname AS view,
        view.relispopulated AS is_populated,
        input.relname AS table_name
    FROM pg_class AS view
    INNER JOIN pg_rewrite ON view.oid = pg_rewrite.ev_class
    INNER JOIN pg_depend ON pg_depend.classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = pg_depend.objid
    INNER JOIN pg_class AS input ON pg_depend.refclassid = 'pg_class'::regclass AND pg_depend.refobjid = input.oid
    WHERE view.relnamespace = 'marts'::regnamespace AND view.relkind = 'm' AND input.oid <> view.oid
),

shown AS (
    SELECT freshness.view, publish.publish_id
    FROM marts.freshness
    INNER JOIN ops.publish USING (run_id)
)

-- A table for which the ledger has no count may have changed.
SELECT DISTINCT input.view
FROM input
LEFT JOIN shown ON input.view = shown.view
WHERE
    NOT input.is_populated
    OR shown.publish_id IS NULL
    OR EXISTS (
        SELECT FROM ops.publish
        WHERE
            publish.publish_id > shown.publish_id
            AND coalesce(
                (publish.tables -> input.table_name ->> 'inserted')::bigint
                + (publish.tables -> input.table_name ->> 'updated')::bigint,
                1
            ) > 0
    );
