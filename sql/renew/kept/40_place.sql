-- Where and how it is stored. Its access method only from PostgreSQL 15 on; 14 cannot change it for an existing relation.
SELECT format('ALTER TABLE %s SET TABLESPACE %I', pg_class.oid::regclass, spcname) AS statement
FROM pg_class
INNER JOIN pg_tablespace ON reltablespace = pg_tablespace.oid
WHERE pg_class.oid = {oid}
UNION ALL
SELECT format('ALTER TABLE %s SET ACCESS METHOD %I', pg_class.oid::regclass, amname)
FROM pg_class
INNER JOIN pg_am ON relam = pg_am.oid
WHERE
    pg_class.oid = {oid}
    AND amname <> current_setting('default_table_access_method')
    AND current_setting('server_version_num')::integer >= 150000
UNION ALL
SELECT
    format(
        'ALTER TABLE %s REPLICA IDENTITY %s', oid::regclass, CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END
    )
FROM pg_class
WHERE oid = {oid} AND relkind = 'm' AND relreplident IN ('f', 'n')
UNION ALL
SELECT format('ALTER MATERIALIZED VIEW %s DEPENDS ON EXTENSION %I', objid::regclass, extname)
FROM pg_depend
INNER JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
WHERE classid = 'pg_class'::regclass AND objid = {oid} AND deptype = 'x';
