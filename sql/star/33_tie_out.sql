CREATE TABLE IF NOT EXISTS marts.tie_out (
    run_id text NOT NULL,
    hop text NOT NULL,
    reason text,
    retailer_id text NOT NULL,
    business_date date,
    currency text,
    rows bigint NOT NULL,
    money numeric NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE marts.tie_out IS 'Rows and money at each hop from the retailer''s response to the views, as counted by each run';
COMMENT ON COLUMN marts.tie_out.run_id IS 'The run that counted';
COMMENT ON COLUMN marts.tie_out.hop IS 'fetched, skipped, superseded, landed, rounding, read, duplicate, quarantined, in_quarantine, accepted (of the quarantined), staged, inserted, updated_in, deleted, updated_out, unchanged, stale, delta_before, delta_after, postgresql, views: docs/DATA_QUALITY.md';
COMMENT ON COLUMN marts.tie_out.reason IS 'Why lines were skipped';
COMMENT ON COLUMN marts.tie_out.retailer_id IS 'The retailer';
COMMENT ON COLUMN marts.tie_out.business_date IS 'NULL if a line has no readable date';
COMMENT ON COLUMN marts.tie_out.currency IS 'NULL if a line has no readable currency';
COMMENT ON COLUMN marts.tie_out.rows IS 'Rows at that hop; from delta_before on, all rows of the star on that day';
COMMENT ON COLUMN marts.tie_out.money IS 'Sum of total_amount; an unreadable amount counts as 0';
COMMENT ON COLUMN marts.tie_out.noted_at IS 'When the run''s views were refreshed';

-- It has no key: a publication FOR ALL TABLES refuses changes of such a table otherwise.
ALTER TABLE marts.tie_out REPLICA IDENTITY FULL;

CREATE INDEX IF NOT EXISTS tie_out_day ON marts.tie_out (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS tie_out_run ON marts.tie_out (run_id);
