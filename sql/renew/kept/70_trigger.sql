-- A plain view's triggers, each with its comment.
SELECT
    concat_ws(
        '; ',
        pg_get_triggerdef(oid),
        (
            SELECT
                string_agg(
                    format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION %I', tgname, tgrelid::regclass, extname), '; '
                )
            FROM pg_depend
            INNER JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
            WHERE classid = 'pg_trigger'::regclass AND objid = pg_trigger.oid AND deptype = 'x'
        ),
        format('COMMENT ON TRIGGER %I ON %s IS ', tgname, tgrelid::regclass)
        || quote_literal(obj_description(oid, 'pg_trigger'))
    ) AS statement
FROM pg_trigger
WHERE tgrelid = {oid} AND NOT tgisinternal
ORDER BY oid;
