-- The relations named in {names}, and every view that depends on them, directly or through others; dependencies first.
WITH RECURSIVE hanging AS (
    SELECT pg_catalog.to_regclass(name)::oid AS oid, 0 AS depth
    FROM unnest({names}::text[]) AS name
    UNION
    SELECT pg_rewrite.ev_class, hanging.depth + 1
    FROM hanging
    INNER JOIN pg_depend ON pg_depend.refclassid = 'pg_class'::regclass AND pg_depend.refobjid = hanging.oid
    INNER JOIN pg_rewrite ON pg_depend.classid = 'pg_rewrite'::regclass AND pg_depend.objid = pg_rewrite.oid
    WHERE pg_rewrite.ev_class <> hanging.oid
) CYCLE oid SET is_round USING path -- rules can form a cycle; dropping such views is then refused

SELECT
    pg_class.oid,
    CASE pg_class.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind,
    pg_class.oid::regclass::text AS name,
    pg_get_viewdef(pg_class.oid) AS query,
    pg_class.relispopulated AS populated
FROM hanging
INNER JOIN pg_class ON hanging.oid = pg_class.oid
WHERE pg_class.relkind IN ('v', 'm')
GROUP BY pg_class.oid
ORDER BY max(hanging.depth), pg_class.oid;
