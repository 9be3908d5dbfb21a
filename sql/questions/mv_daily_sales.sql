-- Question newest_week
-- What did each retailer sell in the newest seven days: before discount, after discount, and net of returns in those days?
SELECT
    retailer_name,
    currency,
    sum(gross_amount) AS gross_amount,
    sum(sales_amount) AS sales_amount,
    sum(returns_amount) AS returns_amount,
    sum(net_amount) AS net_amount
FROM marts.mv_daily_sales
WHERE business_date > (SELECT max(business_date) - 7 FROM marts.mv_daily_sales)
GROUP BY retailer_id, retailer_name, currency
ORDER BY retailer_id, currency;

-- From the star
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE business_date > (SELECT max(business_date) - 7 FROM star.fact_sales)
)

SELECT
    dim_retailer.retailer_name,
    line.currency,
    coalesce(sum(line.total_amount + coalesce(line.discount_amount, 0)) FILTER (WHERE line.is_sale), 0) AS gross_amount,
    coalesce(sum(line.total_amount) FILTER (WHERE line.is_sale), 0) AS sales_amount,
    coalesce(sum(line.total_amount) FILTER (WHERE line.record_type IN ('return', 'refund')), 0) AS returns_amount,
    sum(line.total_amount) AS net_amount
FROM line
INNER JOIN star.dim_retailer USING (retailer_key)
GROUP BY dim_retailer.retailer_id, dim_retailer.retailer_name, line.currency
ORDER BY dim_retailer.retailer_id, line.currency;

-- Question weekdays
-- What are the average net sales on each weekday (1 is Monday), over the days that have rows?
SELECT
    retailer_name,
    currency,
    extract(ISODOW FROM business_date)::integer AS weekday,
    count(*) AS days,
    round(avg(net_amount), 2) AS net_a_day
FROM marts.mv_daily_sales
GROUP BY retailer_id, retailer_name, currency, weekday
ORDER BY retailer_id, currency, weekday;

-- From the star
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

-- Question week_before
-- How do the baskets and net sales of the newest 28 days compare with the same weekday a week before?
SELECT
    day.business_date,
    day.retailer_name,
    day.currency,
    day.average_basket,
    day.net_amount,
    week_before.average_basket AS average_basket_before,
    day.net_amount - week_before.net_amount AS net_change
FROM marts.mv_daily_sales AS day
LEFT JOIN marts.mv_daily_sales AS week_before
    ON
        week_before.retailer_id = day.retailer_id
        AND week_before.currency = day.currency
        AND week_before.business_date = day.business_date - 7
WHERE day.business_date > (SELECT max(business_date) - 28 FROM marts.mv_daily_sales)
ORDER BY day.business_date, day.retailer_id, day.currency;

-- From the star
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
