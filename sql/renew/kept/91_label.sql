-- Security labels on it and its columns. PostgreSQL accepts them only if their provider is loaded.
SELECT
    format(
        'SECURITY LABEL FOR %I ON %s %s%s IS %L',
        provider,
        CASE WHEN objsubid > 0 THEN 'COLUMN' WHEN relkind = 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
        pg_class.oid::regclass, '.' || quote_ident(attname), label
    ) AS statement
FROM pg_seclabel
INNER JOIN pg_class ON objoid = pg_class.oid
LEFT JOIN pg_attribute ON objoid = attrelid AND objsubid = attnum AND objsubid > 0
WHERE classoid = 'pg_class'::regclass AND objoid = {oid};
