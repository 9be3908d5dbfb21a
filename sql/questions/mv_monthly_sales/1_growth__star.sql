WITH newest AS (
    SELECT (date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month')::date AS month_start
    FROM star.fact_sales
),

amount AS (
    SELECT
        fact.retailer_key,
        fact.currency,
        newest.month_start,
        sum(fact.total_amount) FILTER (WHERE fact.business_date >= newest.month_start) AS net_amount,
        sum(fact.total_amount) FILTER (WHERE fact.business_date < newest.month_start) AS previous_net_amount
    FROM star.fact_sales AS fact
    CROSS JOIN newest
    WHERE
        fact.business_date >= (SELECT (month_start - interval '1 month')::date FROM newest)
        AND fact.business_date < (SELECT (month_start + interval '1 month')::date FROM newest)
    GROUP BY fact.retailer_key, fact.currency, newest.month_start
)

SELECT
    dim_retailer.retailer_name,
    amount.currency,
    amount.month_start,
    amount.net_amount,
    amount.previous_net_amount,
    amount.net_amount - amount.previous_net_amount AS growth_amount,
    CASE
        WHEN amount.previous_net_amount > 0
            THEN round(100 * (amount.net_amount - amount.previous_net_amount) / amount.previous_net_amount, 2)
    END AS growth_percent
FROM amount
INNER JOIN star.dim_retailer USING (retailer_key)
WHERE amount.net_amount IS NOT NULL
ORDER BY dim_retailer.retailer_id, amount.currency;
