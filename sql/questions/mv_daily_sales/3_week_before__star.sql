WITH newest AS (
    SELECT max(business_date) AS newest_date FROM star.fact_sales
),

line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE business_date > (SELECT newest_date - 35 FROM newest)
),

day AS (
    SELECT
        retailer_id,
        business_date,
        currency,
        round(
            sum(total_amount) FILTER (WHERE is_sale) / count(DISTINCT transaction_id) FILTER (WHERE is_sale), 4
        ) AS average_basket,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, business_date, currency
)

SELECT
    day.business_date,
    dim_retailer.retailer_name,
    day.currency,
    day.average_basket,
    day.net_amount,
    week_before.average_basket AS average_basket_before,
    day.net_amount - week_before.net_amount AS net_change
FROM day
INNER JOIN star.dim_retailer USING (retailer_id)
LEFT JOIN day AS week_before
    ON
        week_before.retailer_id = day.retailer_id
        AND week_before.currency = day.currency
        AND week_before.business_date = day.business_date - 7
WHERE day.business_date > (SELECT newest_date - 28 FROM newest)
ORDER BY day.business_date, day.retailer_id, day.currency;
