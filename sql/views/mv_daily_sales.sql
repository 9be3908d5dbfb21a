CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_daily_sales AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM star.fact_sales
),

day AS (
    SELECT
        retailer_id,
        business_date,
        currency,
        count(*) AS fact_rows,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        count(*) FILTER (WHERE is_sale) AS lines,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(discount_amount) FILTER (WHERE is_sale), 0) AS discount_amount,
        coalesce(sum(tax_amount) FILTER (WHERE is_sale), 0) AS tax_amount,
        coalesce(sum(quantity) FILTER (WHERE is_return), 0) AS returned_units,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, business_date, currency
)

SELECT
    day.retailer_id,
    dim_retailer.retailer_name,
    day.business_date,
    day.currency,
    day.fact_rows,
    day.transactions,
    day.lines,
    day.units,
    day.sales_amount + day.discount_amount AS gross_amount,
    day.discount_amount,
    day.sales_amount,
    day.returned_units,
    day.returns_amount,
    day.net_amount,
    day.tax_amount,
    round(day.sales_amount / nullif(day.transactions, 0), 4) AS average_basket
FROM day
LEFT JOIN star.dim_retailer USING (retailer_id);

CREATE UNIQUE INDEX IF NOT EXISTS mv_daily_sales_key
ON marts.mv_daily_sales (retailer_id, business_date, currency);

COMMENT ON MATERIALIZED VIEW marts.mv_daily_sales IS 'Sales and returns per retailer, business day and currency';
COMMENT ON COLUMN marts.mv_daily_sales.retailer_id IS 'As in the configuration: retailer_1';
COMMENT ON COLUMN marts.mv_daily_sales.retailer_name IS 'As in the configuration';
COMMENT ON COLUMN marts.mv_daily_sales.business_date IS 'Day of the sale in the retailer''s time zone';
COMMENT ON COLUMN marts.mv_daily_sales.currency IS 'ISO 4217; amounts in different currencies are never added';
COMMENT ON COLUMN marts.mv_daily_sales.fact_rows IS 'All rows of the star on that day, including cancelled ones';
COMMENT ON COLUMN marts.mv_daily_sales.transactions IS 'Transactions with at least one completed sale line';
COMMENT ON COLUMN marts.mv_daily_sales.lines IS 'Completed sale lines';
COMMENT ON COLUMN marts.mv_daily_sales.units IS 'Quantity of completed sale lines';
COMMENT ON COLUMN marts.mv_daily_sales.gross_amount IS 'Completed sales before discount: sales_amount + discount_amount';
COMMENT ON COLUMN marts.mv_daily_sales.discount_amount IS 'Discounts on completed sales, positive';
COMMENT ON COLUMN marts.mv_daily_sales.sales_amount IS 'Completed sales after discount, without tax';
COMMENT ON COLUMN marts.mv_daily_sales.returned_units IS 'Quantity returned on that day, negative';
COMMENT ON COLUMN marts.mv_daily_sales.returns_amount IS 'Returns and refunds on that day, negative, whenever the goods were sold';
COMMENT ON COLUMN marts.mv_daily_sales.net_amount IS 'sales_amount + returns_amount: all money of the day';
COMMENT ON COLUMN marts.mv_daily_sales.tax_amount IS 'Tax charged on completed sales; not included in any other amount';
COMMENT ON COLUMN marts.mv_daily_sales.average_basket IS 'sales_amount per transaction; NULL without transactions';
