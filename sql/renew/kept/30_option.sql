-- Its storage parameters, or a plain view's options.
SELECT format('ALTER TABLE %s SET (', oid::regclass) || array_to_string(reloptions, ', ') || ')' AS statement
FROM pg_class
WHERE oid = {oid} AND reloptions IS NOT NULL
UNION ALL
SELECT
    format('ALTER TABLE %s SET (toast.', pg_class.oid::regclass) || array_to_string(toast.reloptions, ', toast.') || ')'
FROM pg_class
INNER JOIN pg_class AS toast ON pg_class.reltoastrelid = toast.oid
WHERE pg_class.oid = {oid} AND toast.reloptions IS NOT NULL;
