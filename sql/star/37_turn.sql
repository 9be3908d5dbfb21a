CREATE TABLE IF NOT EXISTS ops.turn (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    key bigint NOT NULL DEFAULT 0,
    pid integer NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE ops.turn IS 'Whose turn it is to write: one row, of the last writer';
COMMENT ON COLUMN ops.turn.is_only IS 'True: there is no second row';
COMMENT ON COLUMN ops.turn.key IS 'The writer''s advisory lock, of a random number; its turn lasts as long as it holds that';
COMMENT ON COLUMN ops.turn.pid IS 'The writer''s session';
COMMENT ON COLUMN ops.turn.since IS 'When its turn began';
