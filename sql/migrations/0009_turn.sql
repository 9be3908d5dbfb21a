-- Whose turn it is to write. Before, a lock that every login could take.
CREATE TABLE ops.turn (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    key bigint NOT NULL DEFAULT 0,
    pid integer NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT now()
);
