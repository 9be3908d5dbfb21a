-- The number of rows that each table of the star had when it was last analyzed, 0 if never; and the current number in its
-- partitions, which autovacuum analyzes.
SELECT
    star.relname,
    greatest(star.reltuples, 0)::bigint AS analyzed,
    (
        SELECT sum(greatest(partition.reltuples, 0))::bigint
        FROM pg_inherits
        JOIN pg_class AS partition ON partition.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = star.oid
    ) AS partitions
FROM pg_class AS star
WHERE star.relnamespace = 'star'::regnamespace AND star.relkind IN ('r', 'p') AND NOT star.relispartition;
