-- Take the turn, unless the session that has it still holds its lock. A stranger who takes a lock of the same number is
-- another session. The row is locked first, so that two who look at the same moment look one after the other.
INSERT INTO ops.turn DEFAULT VALUES ON CONFLICT DO NOTHING;

SELECT FROM ops.turn FOR UPDATE;

UPDATE ops.turn SET key = %(key)s, pid = pg_backend_pid(), since = now()
WHERE
    NOT EXISTS (
        SELECT FROM pg_locks
        WHERE
            pg_locks.locktype = 'advisory'
            AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND pg_locks.objsubid = 1
            AND pg_locks.granted
            AND pg_locks.pid = turn.pid
            AND ((pg_locks.classid::bigint << 32) | pg_locks.objid::bigint) = turn.key
    );
