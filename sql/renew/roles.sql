-- Whether the roles of roles.sql exist for this database, and whether they are another database's: then it does without.
-- A role is a database's if something in it, or its right to connect, depends on the role.
WITH named AS (
    SELECT
        nullif(current_setting('retail.roles', true), '') AS prefix,
        (SELECT oid FROM pg_database WHERE datname = current_database()) AS here
),
uses AS (
    SELECT coalesce(nullif(dbid, 0), objid) AS database
    FROM pg_shdepend, named
    WHERE
        refclassid = 'pg_authid'::regclass
        AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = coalesce(named.prefix, 'retail') || '_owner')
        AND (dbid <> 0 OR classid = 'pg_database'::regclass)
),
judged AS (
    SELECT
        named.prefix IS NULL
        AND EXISTS (SELECT FROM uses)
        AND NOT EXISTS (SELECT FROM uses WHERE uses.database = named.here) AS are_anothers,
        (
            SELECT count(*) = 3 FROM pg_roles
            WHERE rolname = ANY (ARRAY(
                SELECT coalesce(named.prefix, 'retail') || '_' || kind FROM unnest(ARRAY['owner', 'loader', 'reader']) AS kind
            ))
        ) AS exist
    FROM named
)
SELECT exist AND NOT are_anothers AS are_ours, are_anothers FROM judged;
