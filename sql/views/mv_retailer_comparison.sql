CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_retailer_comparison AS
WITH line AS (
    SELECT
        *,
        date_trunc('month', business_date::timestamp)::date AS month_start,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
),

month AS (
    SELECT
        month_start,
        retailer_id,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        sum(total_amount) AS net_amount,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS active_customers,
        count(DISTINCT store_key) FILTER (WHERE is_sale AND store_key <> -1) AS active_stores
    FROM line
    GROUP BY month_start, retailer_id, currency
),

market AS (
    SELECT
        month_start,
        currency,
        sum(net_amount) AS net_amount
    FROM month
    GROUP BY month_start, currency
)

SELECT
    this.month_start,
    this.retailer_id,
    dim_retailer.retailer_name,
    this.currency,
    this.transactions,
    this.sales_amount,
    this.net_amount,
    CASE
        WHEN market.net_amount > 0 THEN round(100 * this.net_amount / market.net_amount, 2)
    END AS share_percent,
    this.net_amount - previous.net_amount AS growth_amount,
    CASE
        WHEN previous.net_amount > 0
            THEN round(100 * (this.net_amount - previous.net_amount) / previous.net_amount, 2)
    END AS growth_percent,
    round(this.sales_amount / nullif(this.transactions, 0), 4) AS average_basket,
    this.active_customers,
    this.active_stores
FROM month AS this
INNER JOIN market
    ON market.month_start = this.month_start AND market.currency = this.currency
LEFT JOIN month AS previous
    ON
        previous.retailer_id = this.retailer_id
        AND previous.currency = this.currency
        AND previous.month_start = (this.month_start - interval '1 month')::date
LEFT JOIN star.dim_retailer ON dim_retailer.retailer_id = this.retailer_id;

CREATE UNIQUE INDEX IF NOT EXISTS mv_retailer_comparison_key
ON marts.mv_retailer_comparison (month_start, retailer_id, currency);

COMMENT ON MATERIALIZED VIEW marts.mv_retailer_comparison IS 'The retailers side by side, per month and currency';
COMMENT ON COLUMN marts.mv_retailer_comparison.retailer_id IS 'As in the configuration: retailer_1';
COMMENT ON COLUMN marts.mv_retailer_comparison.retailer_name IS 'As in the configuration';
COMMENT ON COLUMN marts.mv_retailer_comparison.currency IS 'ISO 4217; amounts in different currencies are never added';
COMMENT ON COLUMN marts.mv_retailer_comparison.month_start IS 'First day of the month; the newest month may be incomplete';
COMMENT ON COLUMN marts.mv_retailer_comparison.transactions IS 'Transactions with at least one completed sale line in the month';
COMMENT ON COLUMN marts.mv_retailer_comparison.sales_amount IS 'Completed sales after discount, without tax';
COMMENT ON COLUMN marts.mv_retailer_comparison.net_amount IS 'Sales and returns of the month';
COMMENT ON COLUMN marts.mv_retailer_comparison.share_percent IS 'Share of all retailers'' net_amount in that month and currency; NULL if that is not above zero';
COMMENT ON COLUMN marts.mv_retailer_comparison.growth_amount IS 'net_amount minus that of the previous calendar month; NULL if it has no rows';
COMMENT ON COLUMN marts.mv_retailer_comparison.growth_percent IS 'growth_amount as a percentage of the previous month; NULL if that month is not above zero';
COMMENT ON COLUMN marts.mv_retailer_comparison.average_basket IS 'sales_amount per transaction; NULL without transactions';
COMMENT ON COLUMN marts.mv_retailer_comparison.active_customers IS 'Known customers with a completed sale in the month';
COMMENT ON COLUMN marts.mv_retailer_comparison.active_stores IS 'Known stores with a completed sale in the month';
