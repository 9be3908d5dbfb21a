-- Extended statistics objects on it, each with its owner, target and comment.
SELECT
    concat_ws(
        '; ',
        pg_get_statisticsobjdef(oid),
        format('ALTER STATISTICS %s OWNER TO %s', name, stxowner::regrole),
        CASE WHEN stxstattarget >= 0 THEN format('ALTER STATISTICS %s SET STATISTICS %s', name, stxstattarget) END,
        format('COMMENT ON STATISTICS %s IS ', name) || quote_literal(obj_description(oid, 'pg_statistic_ext'))
    ) AS statement
FROM pg_statistic_ext
CROSS JOIN LATERAL format('%s.%I', stxnamespace::regnamespace, stxname) AS name
WHERE stxrelid = {oid}
ORDER BY oid;
