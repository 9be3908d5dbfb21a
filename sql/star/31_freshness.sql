CREATE TABLE IF NOT EXISTS marts.freshness (
    view text PRIMARY KEY,
    refreshed_at timestamptz NOT NULL,
    run_id text,
    rows bigint NOT NULL
);

COMMENT ON TABLE marts.freshness IS 'When each view was last brought up to date with the star';
COMMENT ON COLUMN marts.freshness.view IS 'The view''s name';
COMMENT ON COLUMN marts.freshness.refreshed_at IS 'When the view was last brought up to date; its rows stay if nothing in the star has changed';
COMMENT ON COLUMN marts.freshness.run_id IS 'The newest run published by then';
COMMENT ON COLUMN marts.freshness.rows IS 'Number of rows in the view since then';
