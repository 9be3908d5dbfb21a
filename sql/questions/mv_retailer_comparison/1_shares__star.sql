WITH newest AS (
    SELECT (date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month')::date AS month_start
    FROM star.fact_sales
),

amount AS (
    SELECT
        fact.retailer_key,
        fact.currency,
        sum(fact.total_amount) FILTER (WHERE fact.business_date >= newest.month_start) AS net_amount,
        sum(fact.total_amount) FILTER (WHERE fact.business_date < newest.month_start) AS previous_net_amount
    FROM star.fact_sales AS fact
    CROSS JOIN newest
    WHERE
        fact.business_date >= (SELECT (month_start - interval '1 month')::date FROM newest)
        AND fact.business_date < (SELECT (month_start + interval '1 month')::date FROM newest)
    GROUP BY fact.retailer_key, fact.currency
),

shared AS (
    SELECT
        *,
        sum(net_amount) OVER (PARTITION BY currency) AS market_amount
    FROM amount
    WHERE net_amount IS NOT NULL
)

SELECT
    shared.currency,
    dim_retailer.retailer_name,
    shared.net_amount,
    CASE WHEN shared.market_amount > 0 THEN round(100 * shared.net_amount / shared.market_amount, 2) END AS share_percent,
    CASE
        WHEN shared.previous_net_amount > 0
            THEN round(100 * (shared.net_amount - shared.previous_net_amount) / shared.previous_net_amount, 2)
    END AS growth_percent
FROM shared
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY shared.currency, shared.net_amount DESC, dim_retailer.retailer_id;
