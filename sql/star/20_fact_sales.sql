-- Partitions, one per month, are created as months arrive: see lib/retail/warehouse/schema/partitions.py.
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

-- Access by a day of a retailer; by a product, a customer or an order over all months.
CREATE INDEX IF NOT EXISTS fact_sales_day ON star.fact_sales (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS fact_sales_product ON star.fact_sales (product_key);
CREATE INDEX IF NOT EXISTS fact_sales_customer ON star.fact_sales (customer_key);
CREATE INDEX IF NOT EXISTS fact_sales_transaction ON star.fact_sales (transaction_id);

COMMENT ON TABLE star.fact_sales IS 'One row per product of a transaction: sales, returns, refunds. Never add up different currencies';
COMMENT ON COLUMN star.fact_sales.sales_key IS 'xxhash64 of retailer_id, transaction_id and line_id';
COMMENT ON COLUMN star.fact_sales.retailer_id IS 'The retailer that sold it';
COMMENT ON COLUMN star.fact_sales.transaction_id IS 'The retailer''s order or basket';
COMMENT ON COLUMN star.fact_sales.line_id IS 'The line within it; a return has its own. With retailer and transaction, the natural key';
COMMENT ON COLUMN star.fact_sales.record_type IS 'sale; return: goods came back, negative; refund: money only, quantity 0';
COMMENT ON COLUMN star.fact_sales.status IS 'completed; cancelled, or deleted at the retailer, with quantity and amounts 0';
COMMENT ON COLUMN star.fact_sales.date_key IS 'Day of the sale: business_date as yyyymmdd';
COMMENT ON COLUMN star.fact_sales.product_key IS 'The product sold';
COMMENT ON COLUMN star.fact_sales.customer_key IS 'The customer; -1 for a guest';
COMMENT ON COLUMN star.fact_sales.store_key IS 'The store; -1 if the retailer does not name it';
COMMENT ON COLUMN star.fact_sales.retailer_key IS 'The retailer that sold it';
COMMENT ON COLUMN star.fact_sales.business_date IS 'Day of sold_at in the retailer''s time zone';
COMMENT ON COLUMN star.fact_sales.sold_at IS 'When it was sold or returned';
COMMENT ON COLUMN star.fact_sales.updated_at IS 'When the retailer last changed the record';
COMMENT ON COLUMN star.fact_sales.quantity IS 'Pieces or weight';
COMMENT ON COLUMN star.fact_sales.unit_price IS 'Price per unit before discount, with tax if the retailer''s prices include it';
COMMENT ON COLUMN star.fact_sales.discount_amount IS 'Positive; already deducted from total_amount';
COMMENT ON COLUMN star.fact_sales.tax_amount IS 'Not included in total_amount; positive, negative on a return';
COMMENT ON COLUMN star.fact_sales.total_amount IS 'The line''s net total in its currency';
COMMENT ON COLUMN star.fact_sales.currency IS 'ISO 4217';
COMMENT ON COLUMN star.fact_sales.source_ref IS 'Payload object that the row comes from, and the position in it';
COMMENT ON COLUMN star.fact_sales.changed_run_id IS 'The run that last changed the row';
