WITH month AS (
    SELECT
        date_trunc('month', business_date::timestamp)::date AS month_start,
        currency,
        retailer_key,
        sum(total_amount) AS net_amount
    FROM star.fact_sales
    GROUP BY month_start, currency, retailer_key
),

market AS (
    SELECT
        *,
        sum(net_amount) OVER (PARTITION BY month_start, currency) AS market_amount
    FROM month
),

shared AS (
    SELECT
        *,
        CASE WHEN market_amount > 0 THEN round(100 * net_amount / market_amount, 2) END AS share_percent
    FROM market
)

SELECT
    shared.month_start,
    shared.currency,
    dim_retailer.retailer_name,
    shared.share_percent,
    shared.share_percent
    - lag(shared.share_percent) OVER (PARTITION BY shared.currency, shared.retailer_key ORDER BY shared.month_start) AS points
FROM shared
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY shared.month_start, shared.currency, dim_retailer.retailer_id;
