-- A plain view's rules, apart from its query, each with its comment.
SELECT
    concat_ws(
        '; ',
        rtrim(pg_get_ruledef(oid), '; '),
        format('COMMENT ON RULE %I ON %s IS ', rulename, ev_class::regclass)
        || quote_literal(obj_description(oid, 'pg_rewrite'))
    ) AS statement
FROM pg_rewrite
WHERE ev_class = {oid} AND ev_type <> '1'
ORDER BY oid;
