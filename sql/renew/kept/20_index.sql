-- Its indexes, each with all its settings; an index that the view's own file creates stays as in the file.
SELECT
    concat_ws(
        '; ',
        regexp_replace(pg_get_indexdef(oid), '^CREATE( UNIQUE)? INDEX', 'CREATE\1 INDEX IF NOT EXISTS'),
        format('ALTER INDEX %s SET (', oid::regclass) || array_to_string(reloptions, ', ') || ')',
        format('ALTER INDEX %s SET TABLESPACE ', oid::regclass)
        || (SELECT quote_ident(spcname) FROM pg_tablespace WHERE pg_tablespace.oid = reltablespace),
        (
            SELECT
                string_agg(
                    format(
                        'ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', attrelid::regclass, attnum, attstattarget
                    ),
                    '; '
                )
            FROM pg_attribute
            WHERE attrelid = pg_class.oid AND attstattarget >= 0
        ),
        CASE WHEN indisclustered THEN format('ALTER TABLE %s CLUSTER ON %I', indrelid::regclass, relname) END,
        CASE
            WHEN indisreplident
                THEN format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', indrelid::regclass, relname)
        END,
        (
            SELECT string_agg(format('ALTER INDEX %s DEPENDS ON EXTENSION %I', pg_class.oid::regclass, extname), '; ')
            FROM pg_depend
            INNER JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
            WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'x'
        ),
        format('COMMENT ON INDEX %s IS ', oid::regclass) || quote_literal(obj_description(oid, 'pg_class'))
    ) AS statement
FROM pg_index
INNER JOIN pg_class ON indexrelid = oid
WHERE indrelid = {oid}
ORDER BY oid;
