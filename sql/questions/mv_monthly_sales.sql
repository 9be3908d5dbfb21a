-- Question growth
-- How did each retailer's net sales grow over the previous month, in the newest complete month?
SELECT
    retailer_name,
    currency,
    month_start,
    net_amount,
    previous_net_amount,
    growth_amount,
    growth_percent
FROM marts.mv_monthly_sales
WHERE
    month_start = (
        -- the month before the month of the day after the newest
        SELECT date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month'
        FROM marts.mv_daily_sales
    )
ORDER BY retailer_id, currency;

-- From the star
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

-- Question year_to_date
-- What are each retailer's net sales in the newest year so far, per month and cumulative?
SELECT
    retailer_name,
    currency,
    month_start,
    net_amount,
    sum(net_amount) OVER (PARTITION BY retailer_id, currency ORDER BY month_start) AS year_to_date
FROM marts.mv_monthly_sales
WHERE month_start >= (SELECT date_trunc('year', max(month_start)) FROM marts.mv_monthly_sales)
ORDER BY retailer_id, currency, month_start;

-- From the star
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

-- Question returned_share
-- How much was returned in each month, as a percentage of that month's sales after discount, whenever it was sold?
SELECT
    retailer_name,
    currency,
    month_start,
    sales_amount,
    returns_amount,
    round(100 * -returns_amount / nullif(sales_amount, 0), 2) AS returned_percent
FROM marts.mv_monthly_sales
ORDER BY retailer_id, currency, month_start;

-- From the star
WITH month AS (
    SELECT
        retailer_key,
        currency,
        date_trunc('month', business_date::timestamp)::date AS month_start,
        coalesce(sum(total_amount) FILTER (WHERE record_type = 'sale' AND status = 'completed'), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE record_type IN ('return', 'refund')), 0) AS returns_amount
    FROM star.fact_sales
    GROUP BY retailer_key, currency, month_start
)

SELECT
    dim_retailer.retailer_name,
    month.currency,
    month.month_start,
    month.sales_amount,
    month.returns_amount,
    round(100 * -month.returns_amount / nullif(month.sales_amount, 0), 2) AS returned_percent
FROM month
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY dim_retailer.retailer_id, month.currency, month.month_start;
