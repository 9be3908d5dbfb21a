CREATE TABLE IF NOT EXISTS star.dim_customer (
    customer_key bigint PRIMARY KEY,
    retailer_id text,
    customer_id text,
    changed_run_id text NOT NULL,
    UNIQUE (retailer_id, customer_id)
);

COMMENT ON TABLE star.dim_customer IS 'One row a customer of a retailer; nothing about the person is kept';
COMMENT ON COLUMN star.dim_customer.customer_key IS 'xxhash64 of retailer_id and customer_id; -1 is the unknown customer';
COMMENT ON COLUMN star.dim_customer.retailer_id IS 'Whose customer: a pseudonym is never shared by two retailers';
COMMENT ON COLUMN star.dim_customer.customer_id IS 'Keyed hash of the retailer''s identification; cannot be turned back';
COMMENT ON COLUMN star.dim_customer.changed_run_id IS 'The run that last changed the row';
