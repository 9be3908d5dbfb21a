WITH month AS (
    SELECT
        retailer_key,
        currency,
        date_trunc('month', business_date::timestamp)::date AS month_start,
        sum(total_amount) AS net_amount
    FROM star.fact_sales
    WHERE business_date >= (SELECT date_trunc('year', max(business_date)::timestamp)::date FROM star.fact_sales)
    GROUP BY retailer_key, currency, month_start
)

SELECT
    dim_retailer.retailer_name,
    month.currency,
    month.month_start,
    month.net_amount,
    sum(month.net_amount) OVER (PARTITION BY month.retailer_key, month.currency ORDER BY month.month_start) AS year_to_date
FROM month
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY dim_retailer.retailer_id, month.currency, month.month_start;
