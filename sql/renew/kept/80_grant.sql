-- Grants on it and its columns to anyone but its owner; the owner now grants them.
SELECT
    format(
        'GRANT %s%s ON %s TO %s%s',
        privilege_type, ' (' || quote_ident(attname) || ')', oid::regclass,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
    ) AS statement
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
