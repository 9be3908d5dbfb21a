CREATE TABLE IF NOT EXISTS ops.published_day (
    retailer_id text NOT NULL,
    business_date date NOT NULL,
    currency text NOT NULL,
    rows bigint NOT NULL,
    units numeric NOT NULL,
    discount_amount numeric NOT NULL,
    net_amount numeric NOT NULL,
    tax_amount numeric NOT NULL,
    PRIMARY KEY (retailer_id, business_date, currency)
);

COMMENT ON TABLE ops.published_day IS 'Sums over all rows of star.fact_sales on a day, kept by each publish; a missing day is summed up when it is restated, an emptied day has zeros';
COMMENT ON COLUMN ops.published_day.retailer_id IS 'The retailer';
COMMENT ON COLUMN ops.published_day.business_date IS 'The day';
COMMENT ON COLUMN ops.published_day.currency IS 'ISO 4217';
COMMENT ON COLUMN ops.published_day.rows IS 'Rows of the star on that day';
COMMENT ON COLUMN ops.published_day.units IS 'Sum of quantity';
COMMENT ON COLUMN ops.published_day.discount_amount IS 'Sum of discounts';
COMMENT ON COLUMN ops.published_day.net_amount IS 'Sum of total_amount';
COMMENT ON COLUMN ops.published_day.tax_amount IS 'Sum of tax';
