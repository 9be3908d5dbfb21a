-- What was applied to this database: numbers, names and checksums of migrations; files and checksums of definitions;
-- whether this login may create roles; and whether default privileges are missing for a login that creates tables here.
SELECT
    (SELECT json_agg(json_build_array(number, name, checksum) ORDER BY number) FROM ops.migration) AS migrations,
    (SELECT json_object_agg(file, checksum) FROM ops.definition) AS definitions,
    (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) AS may_make_roles,
    has_schema_privilege('star', 'CREATE') AND NOT EXISTS (
        SELECT FROM pg_default_acl
        WHERE defaclrole = current_user::regrole AND defaclnamespace = 'star'::regnamespace
    ) AS lacks_default_privileges;
