-- The columns whose statistics hold any of these customers. ANALYZE leaves those of a table that has become empty.
SELECT s.schemaname, s.tablename, s.attname
FROM pg_catalog.pg_stats AS s
JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.tablename
WHERE
    s.schemaname IN ('star', 'marts', 'ops')
    AND s.attname IN ('customer_id', 'customer_key')
    AND c.reltuples <> 0
    AND (
        s.most_common_vals::text::text[] && %(values)s
        OR s.histogram_bounds::text::text[] && %(values)s
    )
ORDER BY 1, 2, 3;
