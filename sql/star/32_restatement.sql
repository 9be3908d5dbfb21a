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

COMMENT ON TABLE marts.restatement IS 'One row per published figure of a day that a later run changed; written with the change';
COMMENT ON COLUMN marts.restatement.run_id IS 'The run that published the change';
COMMENT ON COLUMN marts.restatement.retailer_id IS 'The retailer';
COMMENT ON COLUMN marts.restatement.business_date IS 'The day, which had been published before';
COMMENT ON COLUMN marts.restatement.currency IS 'ISO 4217';
COMMENT ON COLUMN marts.restatement.figure IS 'rows, units, discount_amount, net_amount or tax_amount: sums over all rows of the star on that day';
COMMENT ON COLUMN marts.restatement.before IS 'The figure as it was published';
COMMENT ON COLUMN marts.restatement.after IS 'The figure since that run';
COMMENT ON COLUMN marts.restatement.transactions IS 'Number of transactions that changed this figure; see restated_transaction';
COMMENT ON COLUMN marts.restatement.restated_at IS 'When the change was published';

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

COMMENT ON TABLE marts.restated_transaction IS 'One row per transaction that changed a published day, with the change. They add up to after − before in restatement, but for days that somebody had changed by hand before a rebuild';
COMMENT ON COLUMN marts.restated_transaction.run_id IS 'The run that published the change';
COMMENT ON COLUMN marts.restated_transaction.retailer_id IS 'The retailer';
COMMENT ON COLUMN marts.restated_transaction.business_date IS 'The day, which had been published before';
COMMENT ON COLUMN marts.restated_transaction.currency IS 'ISO 4217';
COMMENT ON COLUMN marts.restated_transaction.transaction_id IS 'The transaction that changed the day';
COMMENT ON COLUMN marts.restated_transaction.rows IS 'Rows added to the day minus rows removed from it';
COMMENT ON COLUMN marts.restated_transaction.units IS 'Change of quantity';
COMMENT ON COLUMN marts.restated_transaction.discount_amount IS 'Change of discounts';
COMMENT ON COLUMN marts.restated_transaction.net_amount IS 'Change of total_amount';
COMMENT ON COLUMN marts.restated_transaction.tax_amount IS 'Change of tax';

CREATE INDEX IF NOT EXISTS restatement_day ON marts.restatement (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS restated_transaction_named ON marts.restated_transaction (transaction_id, retailer_id);
