-- The properties of the view with oid {oid} that cannot be restored, in words.
SELECT 'access method ' || amname || ', which PostgreSQL 14 can give to none that is there' AS lost
FROM pg_class
INNER JOIN pg_am ON relam = pg_am.oid
WHERE
    pg_class.oid = {oid}
    AND amname <> current_setting('default_table_access_method')
    AND current_setting('server_version_num')::integer < 150000;
