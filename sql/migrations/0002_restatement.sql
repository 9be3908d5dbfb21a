-- Published figures that a later run changed.
CREATE TABLE IF NOT EXISTS marts.restatement (
    run_id text NOT NULL,
    retailer_id text NOT NULL,
    business_date date NOT NULL,
    currency text NOT NULL,
    figure text NOT NULL,
    before numeric NOT NULL,
    after numeric NOT NULL,
    transactions bigint NOT NULL,
    restated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, retailer_id, business_date, currency, figure)
);

CREATE TABLE IF NOT EXISTS marts.restated_transaction (
    run_id text NOT NULL,
    retailer_id text NOT NULL,
    business_date date NOT NULL,
    currency text NOT NULL,
    transaction_id text NOT NULL,
    rows bigint NOT NULL,
    units numeric NOT NULL,
    discount_amount numeric NOT NULL,
    net_amount numeric NOT NULL,
    tax_amount numeric NOT NULL,
    PRIMARY KEY (run_id, retailer_id, business_date, currency, transaction_id)
);

CREATE INDEX IF NOT EXISTS restatement_day ON marts.restatement (business_date, retailer_id);
