CREATE TABLE IF NOT EXISTS star.dim_customer (
    customer_key bigint PRIMARY KEY,
    retailer_id text,
    customer_id text,
    changed_run_id text NOT NULL,
    UNIQUE (retailer_id, customer_id)
);

COMMENT ON TABLE star.dim_customer IS 'One row per customer of a retailer; nothing about the person is stored';
COMMENT ON COLUMN star.dim_customer.customer_key IS 'xxhash64 of retailer_id and customer_id; -1 is the unknown customer';
COMMENT ON COLUMN star.dim_customer.retailer_id IS 'The customer''s retailer; two retailers never share a pseudonym';
COMMENT ON COLUMN star.dim_customer.customer_id IS 'Keyed hash of the retailer''s identifier; cannot be reversed';
COMMENT ON COLUMN star.dim_customer.changed_run_id IS 'The run that last changed the row';
