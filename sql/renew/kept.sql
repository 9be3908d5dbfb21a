-- What the view of oid {oid} has beside its query, as statements that give it to one of the same name made anew.
SELECT
    'owner' AS what,
    format(
        'ALTER %s %s OWNER TO %s',
        CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, oid::regclass, relowner::regrole
    ) AS statement
FROM pg_class
WHERE oid = {oid}
UNION ALL
SELECT 'index', regexp_replace(pg_get_indexdef(indexrelid), '^CREATE( UNIQUE)? INDEX', 'CREATE\1 INDEX IF NOT EXISTS')
FROM pg_index
WHERE indrelid = {oid}
UNION ALL
SELECT
    'comment',
    format(
        'COMMENT ON %s %s%s IS %L',
        CASE WHEN objsubid > 0 THEN 'COLUMN' WHEN relkind = 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
        pg_class.oid::regclass, '.' || quote_ident(attname), description
    )
FROM pg_description
INNER JOIN pg_class ON objoid = pg_class.oid
LEFT JOIN pg_attribute ON objoid = attrelid AND objsubid = attnum AND objsubid > 0
WHERE classoid = 'pg_class'::regclass AND objoid = {oid}
UNION ALL
SELECT
    'grant',
    format(
        'GRANT %s%s ON %s TO %s%s',
        privilege_type, ' (' || quote_ident(attname) || ')', oid::regclass,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
    )
FROM (
    SELECT oid, relowner, NULL AS attname, acl.*
    FROM pg_class
    CROSS JOIN aclexplode(relacl) AS acl
    UNION ALL
    SELECT pg_class.oid, relowner, attname, acl.*
    FROM pg_class
    INNER JOIN pg_attribute ON pg_class.oid = attrelid
    CROSS JOIN aclexplode(attacl) AS acl
    WHERE NOT attisdropped
) AS given
WHERE oid = {oid} AND grantee <> relowner;
