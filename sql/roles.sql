-- Three roles without a login; grant them to people and programs:
--   retail_owner   owns tables and views: the pipeline's own login
--   retail_loader  writes the star and the ledger, creates no tables
--   retail_reader  BI: reads marts and star, nothing else
-- A login without CREATEROLE uses them if an administrator has run this file, and otherwise does without them.
-- Only what is ours by name is touched, whatever else lies in star, marts and ops.
-- Roles are those of the whole server. `SET retail.roles = 'shop'` before this file (warehouse.roles) names them shop_owner,
-- shop_loader and shop_reader. Databases share roles only if each names them so.
DO $$
DECLARE
    named CONSTANT text := nullif(current_setting('retail.roles', true), '');
    owner CONSTANT text := coalesce(named, 'retail') || '_owner';
    loader CONSTANT text := coalesce(named, 'retail') || '_loader';
    reader CONSTANT text := coalesce(named, 'retail') || '_reader';
    is_superuser CONSTANT boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    owns_database CONSTANT boolean := (
        SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database WHERE datname = current_database()
    );
    -- The databases that the roles are those of: something in them, or the right to connect, depends on the owner.
    uses CONSTANT oid[] := ARRAY(
        SELECT coalesce(nullif(dbid, 0), objid)
        FROM pg_shdepend
        WHERE
            refclassid = 'pg_authid'::regclass
            AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = owner)
            AND (dbid <> 0 OR classid = 'pg_database'::regclass)
    );
    pipeline CONSTANT oid := (SELECT relowner FROM pg_class WHERE oid = to_regclass('star.fact_sales'));
    ours CONSTANT oid[] := ARRAY(
        SELECT pg_class.oid
        FROM pg_class
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE
            relkind IN ('r', 'p', 'm')
            AND format('%s.%s', nspname, relname) = ANY (ARRAY[
                'star.dim_customer', 'star.dim_date', 'star.dim_product', 'star.dim_retailer', 'star.dim_store',
                'star.fact_sales',
                'marts.freshness', 'marts.restated_transaction', 'marts.restatement', 'marts.tie_out',
                'marts.mv_customer_value', 'marts.mv_daily_sales', 'marts.mv_monthly_sales', 'marts.mv_product_performance',
                'marts.mv_retailer_comparison', 'marts.mv_store_performance',
                'ops.definition', 'ops.migration', 'ops.publish', 'ops.published_day', 'ops.rollback', 'ops.turn'
            ])
        UNION ALL
        SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('star.fact_sales')
    );
    name text;
    thing record;
    is_first boolean := false;
    is_in_use boolean;
BEGIN
    IF
        named IS NULL
        AND cardinality(uses) > 0
        AND NOT (SELECT oid FROM pg_database WHERE datname = current_database()) = ANY (uses)
    THEN
        RAISE WARNING 'role % is that of another database of this server, and % does without roles: set warehouse.roles'
            ' to names of its own, or to % in both to share them', owner, current_database(), coalesce(named, 'retail');
        RETURN;
    END IF;

    FOREACH name IN ARRAY ARRAY[owner, loader, reader] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name);
        IF NOT (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
            RAISE WARNING 'role % is missing and % may not create it: run sql/roles.sql as an administrator',
                name, current_user;
            RETURN;
        END IF;
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        IF name = owner THEN
            EXECUTE format('GRANT %I TO %I', owner, current_user);
        END IF;
    END LOOP;

    -- The login that owns the fact is the pipeline's. If it is no member of the owner's role, it keeps its tables until an
    -- administrator runs this file, which makes it one so that it can continue. What others own stays theirs.
    FOR thing IN
        SELECT format('SCHEMA %I', nspname) AS name, nspowner AS owned_by
        FROM pg_namespace
        WHERE nspname IN ('star', 'marts', 'ops')
        UNION ALL
        SELECT format('%s %s', CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, oid::regclass), relowner
        FROM pg_class
        WHERE oid = ANY (ours)
    LOOP
        CONTINUE WHEN
            thing.owned_by = (SELECT oid FROM pg_roles WHERE rolname = owner)
            OR NOT pg_has_role(current_user, owner, 'USAGE')
            OR NOT pg_has_role(current_user, thing.owned_by, 'USAGE');
        IF NOT pg_has_role(thing.owned_by, owner, 'MEMBER') THEN
            IF thing.owned_by IS DISTINCT FROM pipeline THEN
                RAISE WARNING '% belongs to %, which is not the pipeline''s login, and is left alone',
                    thing.name, thing.owned_by::regrole;
                CONTINUE;
            END IF;
            EXECUTE format('GRANT %I TO %s', owner, thing.owned_by::regrole);
        END IF;
        EXECUTE format('ALTER %s OWNER TO %I', thing.name, owner);
    END LOOP;

    -- Rights on what others own in our schemas are theirs to give.
    EXECUTE format('GRANT USAGE ON SCHEMA star, marts, ops TO %I', loader);
    EXECUTE format('GRANT USAGE ON SCHEMA star, marts TO %I', reader);
    FOR thing IN
        SELECT nspname AS schema, relname, format('%I.%I', nspname, relname) AS name
        FROM pg_class
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE
            pg_class.oid = ANY (ours)
            AND (relowner = pipeline OR pg_has_role(relowner, owner, 'MEMBER'))
            AND pg_has_role(current_user, relowner, 'USAGE')
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO %I', thing.name, loader);
        IF thing.schema <> 'ops' THEN
            EXECUTE format('GRANT SELECT ON %s TO %I', thing.name, reader);
            IF current_setting('server_version_num')::integer >= 170000 THEN
                -- Before 17 only the owner may refresh a materialized view, or analyze a table.
                EXECUTE format('GRANT MAINTAIN ON %s TO %I', thing.name, loader);
            END IF;
        END IF;
        IF thing.relname IN ('migration', 'definition') AND thing.schema = 'ops' THEN
            -- Only roles that may change the schema record what was applied.
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %I', thing.name, loader);
        ELSIF thing.schema <> 'marts' OR thing.relname IN ('restatement', 'restated_transaction', 'tie_out') THEN
            EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO %I', thing.name, loader);
        ELSIF thing.relname = 'freshness' THEN
            EXECUTE format('GRANT INSERT, UPDATE ON %s TO %I', thing.name, loader);
        END IF;
    END LOOP;

    -- A database from before this record has none.
    IF to_regclass('ops.definition') IS NOT NULL THEN
        SELECT NOT EXISTS (SELECT FROM ops.definition WHERE file = 'roles.sql') INTO is_first;
        SELECT EXISTS (SELECT FROM ops.publish) INTO is_in_use;
    END IF;

    -- The same privileges for what this login will create: partitions, recreated views.
    IF has_schema_privilege('star', 'CREATE') THEN
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA star, marts GRANT SELECT ON TABLES TO %I, %I', reader, loader);
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA star, ops GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', loader
        );
        IF current_setting('server_version_num')::integer >= 170000 THEN
            EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA star, marts GRANT MAINTAIN ON TABLES TO %I', loader);
        END IF;
    END IF;

    -- A server's administrator may have revoked from PUBLIC what every login has by default.
    IF owns_database THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I, %I, %I', current_database(), owner, loader, reader);
    END IF;

    -- Elsewhere others may depend on what every login may do by default.
    IF EXISTS (
        SELECT FROM pg_class
        WHERE
            relkind IN ('r', 'p', 'm', 'f')
            AND relnamespace::regnamespace::text NOT IN ('star', 'marts', 'ops', 'information_schema')
            AND relnamespace::regnamespace::text NOT LIKE 'pg\_%'
    ) THEN
        RETURN;
    END IF;

    -- Every login may make large objects, and take locks by number until the server has no room for any lock. Only a
    -- superuser can revoke that. What an administrator has granted is no longer the default, and stays.
    IF is_superuser THEN
        FOR thing IN
            SELECT oid::regprocedure AS signature, proname LIKE '%advisory%' AS is_for_writers
            FROM pg_proc
            WHERE
                pronamespace = 'pg_catalog'::regnamespace
                AND proacl IS NULL
                AND (
                    proname IN ('lo_creat', 'lo_create', 'lo_from_bytea')
                    OR proname ~ '^pg_(try_)?advisory_(xact_)?lock(_shared)?$'
                )
        LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', thing.signature);
            IF thing.is_for_writers THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I, %I', thing.signature, owner, loader);
            END IF;
        END LOOP;
    END IF;

    -- Every login may create temporary tables, and before 15 tables in schema public, unless the database's owner revokes
    -- that. It is revoked once.
    IF is_first AND owns_database THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I, %I', current_database(), owner, loader);
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
        IF EXISTS (
            SELECT FROM pg_namespace WHERE nspname = 'public' AND pg_has_role(current_user, nspowner, 'USAGE')
        ) THEN
            REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        END IF;
        IF is_in_use THEN
            RAISE WARNING 'from now on only % and % may make temporary tables in database %;'
                ' GRANT TEMPORARY ON DATABASE gives that back to whoever needs it, for good', owner, loader, current_database();
        END IF;
    END IF;
END
$$;
