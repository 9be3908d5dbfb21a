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

COMMENT ON TABLE marts.restatement IS 'One row a published figure of a day that a later run changed, written with the change';
COMMENT ON COLUMN marts.restatement.run_id IS 'The run that published the change';
COMMENT ON COLUMN marts.restatement.retailer_id IS 'Whose day';
COMMENT ON COLUMN marts.restatement.business_date IS 'The day that was published before';
COMMENT ON COLUMN marts.restatement.currency IS 'ISO 4217';
COMMENT ON COLUMN marts.restatement.figure IS 'rows, units, discount_amount, net_amount or tax_amount: sums over all rows of the star on that day';
COMMENT ON COLUMN marts.restatement.before IS 'The figure as it was published';
COMMENT ON COLUMN marts.restatement.after IS 'The figure since that run';
COMMENT ON COLUMN marts.restatement.transactions IS 'How many transactions changed this figure: see restated_transaction';
COMMENT ON COLUMN marts.restatement.restated_at IS 'When it was published';

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

COMMENT ON TABLE marts.restated_transaction IS 'One row a transaction that changed a published day: by how much. They add up to restatement''s after − before';
COMMENT ON COLUMN marts.restated_transaction.run_id IS 'The run that published the change';
COMMENT ON COLUMN marts.restated_transaction.retailer_id IS 'Whose day';
COMMENT ON COLUMN marts.restated_transaction.business_date IS 'The day that was published before';
COMMENT ON COLUMN marts.restated_transaction.currency IS 'ISO 4217';
COMMENT ON COLUMN marts.restated_transaction.transaction_id IS 'The transaction that changed it';
COMMENT ON COLUMN marts.restated_transaction.rows IS 'Rows that came to the day, less those that left it';
COMMENT ON COLUMN marts.restated_transaction.units IS 'Change of quantity';
COMMENT ON COLUMN marts.restated_transaction.discount_amount IS 'Change of discounts';
COMMENT ON COLUMN marts.restated_transaction.net_amount IS 'Change of total_amount';
COMMENT ON COLUMN marts.restated_transaction.tax_amount IS 'Change of tax';

CREATE INDEX IF NOT EXISTS restatement_day ON marts.restatement (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS restated_transaction_named ON marts.restated_transaction (transaction_id, retailer_id);
