CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_monthly_sales AS
WITH line AS (
    SELECT
        *,
        date_trunc('month', business_date::timestamp)::date AS month_start,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM star.fact_sales
),

month AS (
    SELECT
        retailer_id,
        month_start,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, month_start, currency
)

SELECT
    this.retailer_id,
    dim_retailer.retailer_name,
    this.month_start,
    this.currency,
    this.transactions,
    this.units,
    this.sales_amount,
    this.returns_amount,
    this.net_amount,
    previous.net_amount AS previous_net_amount,
    this.net_amount - previous.net_amount AS growth_amount,
    CASE
        WHEN previous.net_amount > 0
            THEN round(100 * (this.net_amount - previous.net_amount) / previous.net_amount, 2)
    END AS growth_percent
FROM month AS this
LEFT JOIN month AS previous
    ON
        previous.retailer_id = this.retailer_id
        AND previous.currency = this.currency
        AND previous.month_start = (this.month_start - interval '1 month')::date
LEFT JOIN star.dim_retailer ON dim_retailer.retailer_id = this.retailer_id;

CREATE UNIQUE INDEX IF NOT EXISTS mv_monthly_sales_key
ON marts.mv_monthly_sales (retailer_id, month_start, currency);

COMMENT ON MATERIALIZED VIEW marts.mv_monthly_sales IS 'Sales and returns per retailer, calendar month and currency, and growth over the previous month';
COMMENT ON COLUMN marts.mv_monthly_sales.retailer_id IS 'As in the configuration: retailer_1';
COMMENT ON COLUMN marts.mv_monthly_sales.retailer_name IS 'As in the configuration';
COMMENT ON COLUMN marts.mv_monthly_sales.currency IS 'ISO 4217; amounts in different currencies are never added';
COMMENT ON COLUMN marts.mv_monthly_sales.month_start IS 'First day of the month; the newest month may be incomplete';
COMMENT ON COLUMN marts.mv_monthly_sales.transactions IS 'Transactions with at least one completed sale line in the month';
COMMENT ON COLUMN marts.mv_monthly_sales.units IS 'Quantity of completed sale lines';
COMMENT ON COLUMN marts.mv_monthly_sales.sales_amount IS 'Completed sales after discount, without tax';
COMMENT ON COLUMN marts.mv_monthly_sales.returns_amount IS 'Returns and refunds of the month, negative';
COMMENT ON COLUMN marts.mv_monthly_sales.net_amount IS 'sales_amount + returns_amount';
COMMENT ON COLUMN marts.mv_monthly_sales.previous_net_amount IS 'net_amount of the previous calendar month; NULL if it has no rows';
COMMENT ON COLUMN marts.mv_monthly_sales.growth_amount IS 'net_amount minus that of the previous calendar month; NULL if it has no rows';
COMMENT ON COLUMN marts.mv_monthly_sales.growth_percent IS 'growth_amount as a percentage of the previous month; NULL if that month is not above zero';
