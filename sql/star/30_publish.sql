CREATE TABLE IF NOT EXISTS ops.publish (
    publish_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    tables jsonb NOT NULL,
    delta_versions jsonb NOT NULL
);

COMMENT ON TABLE ops.publish IS 'One row per run whose changes are in star; written in the transaction that published them';
COMMENT ON COLUMN ops.publish.publish_id IS 'In the order of publishing';
COMMENT ON COLUMN ops.publish.run_id IS 'The run whose changes were published';
COMMENT ON COLUMN ops.publish.published_by IS 'The run that published them; a different one if it caught up on an earlier run';
COMMENT ON COLUMN ops.publish.published_at IS 'When its transaction began';
COMMENT ON COLUMN ops.publish.tables IS 'Per table: rows sent, inserted and updated by that publish';
COMMENT ON COLUMN ops.publish.delta_versions IS 'Per table: version of the Delta table that was read';
