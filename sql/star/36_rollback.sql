CREATE TABLE IF NOT EXISTS ops.rollback (
    rollback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    rolled_back_at timestamptz NOT NULL DEFAULT now(),
    taken_back text[] NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL,
    shown_run_id text NOT NULL,
    tables jsonb NOT NULL
);

COMMENT ON TABLE ops.rollback IS 'One row per publish that was rolled back; its runs are not in ops.publish until they are published again';
COMMENT ON COLUMN ops.rollback.rollback_id IS 'In the order of the rollbacks';
COMMENT ON COLUMN ops.rollback.run_id IS 'The rollback''s own id, which is also its run_id in marts.restatement';
COMMENT ON COLUMN ops.rollback.rolled_back_at IS 'When its transaction began';
COMMENT ON COLUMN ops.rollback.taken_back IS 'The runs whose changes were rolled back';
COMMENT ON COLUMN ops.rollback.published_by IS 'The run that had published them';
COMMENT ON COLUMN ops.rollback.published_at IS 'When they had been published';
COMMENT ON COLUMN ops.rollback.shown_run_id IS 'The newest published run in the star since the rollback';
COMMENT ON COLUMN ops.rollback.tables IS 'Per table: rows restored to their earlier values, and rows deleted';
