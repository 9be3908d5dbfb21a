-- What this login may not do although a publish needs it, and what would change that: one row each.
SELECT
    'may not create temporary tables' AS lacks,
    format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), current_user) AS remedy
WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')

UNION ALL

SELECT
    format('may not create the schemas %s', string_agg(wanted.name, ', ')),
    format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)
FROM unnest(ARRAY['star', 'marts', 'ops']) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = wanted.name)
HAVING count(*) > 0 AND NOT has_database_privilege(current_database(), 'CREATE')

UNION ALL

SELECT
    format('may not use schema %s', nspname),
    format(
        'GRANT %I TO %I, or log in as the owner of the schemas',
        coalesce(nullif(current_setting('retail.roles', true), ''), 'retail') || '_owner',
        current_user
    )
FROM pg_namespace
WHERE nspname IN ('star', 'marts', 'ops') AND NOT has_schema_privilege(oid, 'USAGE')

UNION ALL

SELECT
    format('may not write %s.%s', nspname, relname),
    format(
        'GRANT %I TO %I, or log in as the owner of the schemas',
        coalesce(nullif(current_setting('retail.roles', true), ''), 'retail') || '_owner',
        current_user
    )
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE
    (nspname, relname) IN (('star', 'fact_sales'), ('star', 'dim_date'), ('ops', 'publish'), ('ops', 'turn'))
    AND NOT (
        has_table_privilege(pg_class.oid, 'INSERT')
        AND (relname = 'publish' OR has_table_privilege(pg_class.oid, 'UPDATE'))
    );
