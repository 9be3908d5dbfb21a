-- Partitions, one a month, are made as months arrive: see lib/retail/warehouse/schema/partitions.py.
CREATE TABLE IF NOT EXISTS star.fact_sales (
    sales_key bigint NOT NULL,
    retailer_id text NOT NULL,
    transaction_id text NOT NULL,
    line_id text NOT NULL,
    record_type text NOT NULL,
    status text NOT NULL,
    date_key integer NOT NULL REFERENCES star.dim_date,
    product_key bigint NOT NULL REFERENCES star.dim_product,
    customer_key bigint NOT NULL REFERENCES star.dim_customer,
    store_key bigint NOT NULL REFERENCES star.dim_store,
    retailer_key bigint NOT NULL REFERENCES star.dim_retailer,
    business_date date NOT NULL,
    sold_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    quantity numeric(18, 3) NOT NULL,
    unit_price numeric(18, 4),
    discount_amount numeric(18, 4),
    tax_amount numeric(18, 4),
    total_amount numeric(18, 4) NOT NULL,
    currency text NOT NULL,
    source_ref text NOT NULL,
    changed_run_id text NOT NULL,
    PRIMARY KEY (sales_key, business_date)
) PARTITION BY RANGE (business_date);

-- A day of a retailer; a product, a customer, an order in all months.
CREATE INDEX IF NOT EXISTS fact_sales_day ON star.fact_sales (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS fact_sales_product ON star.fact_sales (product_key);
CREATE INDEX IF NOT EXISTS fact_sales_customer ON star.fact_sales (customer_key);
CREATE INDEX IF NOT EXISTS fact_sales_transaction ON star.fact_sales (transaction_id);

COMMENT ON TABLE star.fact_sales IS 'One row a product of a transaction: sales, returns, refunds. Never sum two currencies';
COMMENT ON COLUMN star.fact_sales.sales_key IS 'xxhash64 of retailer_id, transaction_id and line_id';
COMMENT ON COLUMN star.fact_sales.retailer_id IS 'Who sold';
COMMENT ON COLUMN star.fact_sales.transaction_id IS 'The retailer''s order, or basket';
COMMENT ON COLUMN star.fact_sales.line_id IS 'The line in it; a return has one of its own. With retailer and transaction the natural key';
COMMENT ON COLUMN star.fact_sales.record_type IS 'sale; return: goods back, negative; refund: money only, quantity 0';
COMMENT ON COLUMN star.fact_sales.status IS 'completed, or cancelled with quantity and amounts 0';
COMMENT ON COLUMN star.fact_sales.date_key IS 'Day of the sale: business_date as yyyymmdd';
COMMENT ON COLUMN star.fact_sales.product_key IS 'What was sold';
COMMENT ON COLUMN star.fact_sales.customer_key IS 'Who bought; -1 for a guest';
COMMENT ON COLUMN star.fact_sales.store_key IS 'Where; -1 where the retailer does not tell';
COMMENT ON COLUMN star.fact_sales.retailer_key IS 'Who sold';
COMMENT ON COLUMN star.fact_sales.business_date IS 'Day of sold_at in the retailer''s time zone';
COMMENT ON COLUMN star.fact_sales.sold_at IS 'When it was sold or came back';
COMMENT ON COLUMN star.fact_sales.updated_at IS 'The retailer''s own last change';
COMMENT ON COLUMN star.fact_sales.quantity IS 'Pieces or weight';
COMMENT ON COLUMN star.fact_sales.unit_price IS 'Price of one before discount, with tax where the retailer''s prices include it';
COMMENT ON COLUMN star.fact_sales.discount_amount IS 'Positive; taken off total_amount already';
COMMENT ON COLUMN star.fact_sales.tax_amount IS 'Not in total_amount; positive, on a return negative';
COMMENT ON COLUMN star.fact_sales.total_amount IS 'The line''s net total in its currency';
COMMENT ON COLUMN star.fact_sales.currency IS 'ISO 4217';
COMMENT ON COLUMN star.fact_sales.source_ref IS 'Payload object and position in it that the row comes from';
COMMENT ON COLUMN star.fact_sales.changed_run_id IS 'The run that last changed the row';
