WITH day AS (
    SELECT
        retailer_key,
        currency,
        business_date,
        sum(total_amount) AS net_amount
    FROM star.fact_sales
    GROUP BY retailer_key, currency, business_date
)

SELECT
    dim_retailer.retailer_name,
    day.currency,
    extract(ISODOW FROM day.business_date)::integer AS weekday,
    count(*) AS days,
    round(avg(day.net_amount), 2) AS net_a_day
FROM day
INNER JOIN star.dim_retailer USING (retailer_key)
GROUP BY dim_retailer.retailer_id, dim_retailer.retailer_name, day.currency, weekday
ORDER BY dim_retailer.retailer_id, day.currency, weekday;
