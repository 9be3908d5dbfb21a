-- Where PostgreSQL has customers: each column of ours that holds their pseudonym or key.
SELECT n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE
    n.nspname IN ('star', 'marts', 'ops')
    AND c.relkind IN ('r', 'p', 'm')
    AND NOT c.relispartition
    AND a.attname IN ('customer_id', 'customer_key')
    AND NOT a.attisdropped
ORDER BY 1, 2, 3;
