-- Three roles without a login; grant them to people and programs:
--   retail_owner   owns tables and views: the pipeline's own login
--   retail_loader  writes the star and the ledger, creates no tables
--   retail_reader  BI: reads marts and star, nothing else
-- A login without CREATEROLE uses them if an administrator has run this file, and otherwise does without them.
DO $$
DECLARE
    name text;
    thing record;
    is_first boolean := false;
    is_in_use boolean;
BEGIN
    FOREACH name IN ARRAY ARRAY['retail_owner', 'retail_loader', 'retail_reader'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name);
        IF NOT (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
            RAISE WARNING 'role % is missing and % may not create it: run sql/roles.sql as an administrator',
                name, current_user;
            RETURN;
        END IF;
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        IF name = 'retail_owner' THEN
            EXECUTE format('GRANT retail_owner TO %I', current_user);
        END IF;
    END LOOP;

    -- A login that is not a member of retail_owner keeps its tables. An administrator hands them over, and makes the
    -- former owner a member, so that it can continue.
    FOR thing IN
        SELECT format('SCHEMA %I', nspname) AS name, nspowner::regrole AS owner
        FROM pg_namespace
        WHERE nspname IN ('star', 'marts', 'ops') AND nspowner <> 'retail_owner'::regrole
        UNION ALL
        SELECT format('%s %s', CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, oid::regclass), relowner::regrole
        FROM pg_class
        WHERE
            relnamespace IN ('star'::regnamespace, 'marts'::regnamespace, 'ops'::regnamespace)
            AND relkind IN ('r', 'p', 'm')
            AND relowner <> 'retail_owner'::regrole
    LOOP
        EXIT WHEN NOT pg_has_role(current_user, 'retail_owner', 'USAGE');
        IF NOT pg_has_role(thing.owner, 'retail_owner', 'MEMBER') THEN
            EXECUTE format('GRANT retail_owner TO %s', thing.owner);
        END IF;
        EXECUTE format('ALTER %s OWNER TO retail_owner', thing.name);
    END LOOP;

    GRANT USAGE ON SCHEMA star, marts, ops TO retail_loader;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA star, ops TO retail_loader;
    GRANT SELECT ON ALL TABLES IN SCHEMA marts TO retail_loader;
    GRANT INSERT, UPDATE ON marts.freshness TO retail_loader;
    GRANT INSERT, UPDATE, DELETE ON marts.restatement, marts.restated_transaction, marts.tie_out TO retail_loader;
    IF current_setting('server_version_num')::integer >= 170000 THEN
        -- Before 17 only the owner may refresh a materialized view, or analyze a table.
        GRANT MAINTAIN ON ALL TABLES IN SCHEMA star, marts TO retail_loader;
    END IF;

    -- Only roles that may change the schema record what was applied. A database from before this record has none.
    IF to_regclass('ops.definition') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON ops.migration, ops.definition FROM retail_loader;
        SELECT NOT EXISTS (SELECT FROM ops.definition WHERE file = 'roles.sql') INTO is_first;
        SELECT EXISTS (SELECT FROM ops.publish) INTO is_in_use;
    END IF;

    GRANT USAGE ON SCHEMA star, marts TO retail_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA star, marts TO retail_reader;

    -- The same privileges for what this login will create: partitions, recreated views.
    IF has_schema_privilege('star', 'CREATE') THEN
        ALTER DEFAULT PRIVILEGES IN SCHEMA star, marts GRANT SELECT ON TABLES TO retail_reader, retail_loader;
        ALTER DEFAULT PRIVILEGES IN SCHEMA star, ops GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO retail_loader;
        IF current_setting('server_version_num')::integer >= 170000 THEN
            ALTER DEFAULT PRIVILEGES IN SCHEMA star, marts GRANT MAINTAIN ON TABLES TO retail_loader;
        END IF;
    END IF;

    -- A server's administrator may have revoked from PUBLIC what every login has by default.
    IF EXISTS (
        SELECT FROM pg_database
        WHERE datname = current_database() AND pg_has_role(current_user, datdba, 'USAGE')
    ) THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO retail_owner, retail_loader, retail_reader', current_database());
    END IF;

    -- Every login may create temporary tables, and before 15 tables in schema public, unless the database's owner revokes
    -- that. It is revoked once, in a database that holds only our tables: elsewhere others may depend on it.
    IF
        is_first
        AND EXISTS (
            SELECT FROM pg_database
            WHERE datname = current_database() AND pg_has_role(current_user, datdba, 'USAGE')
        )
        AND NOT EXISTS (
            SELECT FROM pg_class
            WHERE
                relkind IN ('r', 'p', 'm', 'f')
                AND relnamespace::regnamespace::text NOT IN ('star', 'marts', 'ops', 'information_schema')
                AND relnamespace::regnamespace::text NOT LIKE 'pg\_%'
        )
    THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO retail_owner, retail_loader', current_database());
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
        IF EXISTS (
            SELECT FROM pg_namespace WHERE nspname = 'public' AND pg_has_role(current_user, nspowner, 'USAGE')
        ) THEN
            REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        END IF;
        IF is_in_use THEN
            RAISE WARNING 'from now on only retail_owner and retail_loader may make temporary tables in database %;'
                ' GRANT TEMPORARY ON DATABASE gives that back to whoever needs it, for good', current_database();
        END IF;
    END IF;
END
$$;
