-- Comments on it and its columns.
SELECT
    format(
        'COMMENT ON %s %s%s IS %L',
        CASE WHEN objsubid > 0 THEN 'COLUMN' WHEN relkind = 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
        pg_class.oid::regclass, '.' || quote_ident(attname), description
    ) AS statement
FROM pg_description
INNER JOIN pg_class ON objoid = pg_class.oid
LEFT JOIN pg_attribute ON objoid = attrelid AND objsubid = attnum AND objsubid > 0
WHERE classoid = 'pg_class'::regclass AND objoid = {oid};
