-- Rows and money of each hop of a run.
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

CREATE INDEX IF NOT EXISTS tie_out_day ON marts.tie_out (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS tie_out_run ON marts.tie_out (run_id);
