-- In these types Spark gives the quotient 14 decimal places (6 without the CAST), so that it is rounded only once.
CREATE OR REPLACE TEMPORARY VIEW mv_retailer_comparison AS
WITH line AS (
    SELECT
        *,
        CAST(trunc(business_date, 'month') AS date) AS month_start,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM fact_sales
),

per_month AS (
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
    FROM per_month
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
        WHEN market.net_amount > 0
            THEN round(CAST(100 * this.net_amount AS decimal(24, 4)) / CAST(market.net_amount AS decimal(20, 4)), 2)
    END AS share_percent,
    this.net_amount - previous.net_amount AS growth_amount,
    CASE
        WHEN previous.net_amount > 0
            THEN round(
                CAST(100 * (this.net_amount - previous.net_amount) AS decimal(24, 4)) / CAST(previous.net_amount AS decimal(20, 4)), 2
            )
    END AS growth_percent,
    round(this.sales_amount / nullif(this.transactions, 0), 4) AS average_basket,
    this.active_customers,
    this.active_stores
FROM per_month AS this
INNER JOIN market
    ON market.month_start = this.month_start AND market.currency = this.currency
LEFT JOIN per_month AS previous
    ON
        previous.retailer_id = this.retailer_id
        AND previous.currency = this.currency
        AND previous.month_start = add_months(this.month_start, -1)
LEFT JOIN dim_retailer ON dim_retailer.retailer_id = this.retailer_id;
