CREATE TABLE IF NOT EXISTS marts.freshness (
    view text PRIMARY KEY,
    refreshed_at timestamptz NOT NULL,
    run_id text,
    rows bigint NOT NULL
);

COMMENT ON TABLE marts.freshness IS 'As of when each view shows the star';
COMMENT ON COLUMN marts.freshness.view IS 'The view''s name';
COMMENT ON COLUMN marts.freshness.refreshed_at IS 'When it was last made to show the star as it is; nothing new in the star leaves its rows alone';
COMMENT ON COLUMN marts.freshness.run_id IS 'The newest run that was published by then';
COMMENT ON COLUMN marts.freshness.rows IS 'Rows it has since';
