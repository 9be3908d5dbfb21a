-- Question segments
-- How many customers are in each segment of recency and frequency, and what are their sales net of returns?
SELECT
    retailer_id,
    currency,
    recency_score,
    frequency_score,
    count(*) AS customers,
    sum(monetary) AS net_amount,
    round(avg(recency_days), 1) AS days_since_purchase
FROM marts.mv_customer_value
GROUP BY retailer_id, currency, recency_score, frequency_score
ORDER BY retailer_id, currency, recency_score DESC, frequency_score DESC;

-- From the star
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE customer_key <> -1 AND status = 'completed'
),

newest AS (
    SELECT max(business_date) AS as_of
    FROM star.fact_sales
    WHERE status = 'completed' AND business_date <= (updated_at AT TIME ZONE 'UTC')::date + 1
),

customer AS (
    SELECT
        retailer_id,
        currency,
        customer_key,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS frequency,
        max(business_date) FILTER (WHERE is_sale) AS last_purchase,
        sum(total_amount) AS monetary
    FROM line
    GROUP BY retailer_id, currency, customer_key
),

scored AS (
    SELECT
        *,
        5 - 5 * (rank() OVER (fifths ORDER BY last_purchase DESC NULLS LAST) - 1) / count(*) OVER fifths AS recency_score,
        5 - 5 * (rank() OVER (fifths ORDER BY frequency DESC) - 1) / count(*) OVER fifths AS frequency_score
    FROM customer
    WINDOW fifths AS (PARTITION BY retailer_id, currency)
)

SELECT
    retailer_id,
    currency,
    recency_score,
    frequency_score,
    count(*) AS customers,
    sum(monetary) AS net_amount,
    round(avg(CASE WHEN last_purchase > as_of THEN 0 ELSE as_of - last_purchase END), 1) AS days_since_purchase
FROM scored
CROSS JOIN newest
GROUP BY retailer_id, currency, recency_score, frequency_score
ORDER BY retailer_id, currency, recency_score DESC, frequency_score DESC;

-- Question slipping_away
-- Which valuable customers have not bought for a long time: in the top two fifths by value and the bottom two by recency?
SELECT
    retailer_id,
    currency,
    customer_id,
    last_purchase,
    recency_days,
    frequency,
    monetary
FROM marts.mv_customer_value
WHERE monetary_score >= 4 AND recency_score <= 2
ORDER BY monetary DESC, retailer_id, currency, customer_id
LIMIT 50;

-- From the star
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE customer_key <> -1 AND status = 'completed'
),

newest AS (
    SELECT max(business_date) AS as_of
    FROM star.fact_sales
    WHERE status = 'completed' AND business_date <= (updated_at AT TIME ZONE 'UTC')::date + 1
),

customer AS (
    SELECT
        retailer_id,
        currency,
        customer_key,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS frequency,
        max(business_date) FILTER (WHERE is_sale) AS last_purchase,
        sum(total_amount) AS monetary
    FROM line
    GROUP BY retailer_id, currency, customer_key
),

scored AS (
    SELECT
        *,
        5 - 5 * (rank() OVER (fifths ORDER BY last_purchase DESC NULLS LAST) - 1) / count(*) OVER fifths AS recency_score,
        5 - 5 * (rank() OVER (fifths ORDER BY monetary DESC) - 1) / count(*) OVER fifths AS monetary_score
    FROM customer
    WINDOW fifths AS (PARTITION BY retailer_id, currency)
)

SELECT
    scored.retailer_id,
    scored.currency,
    dim_customer.customer_id,
    scored.last_purchase,
    CASE WHEN scored.last_purchase > newest.as_of THEN 0 ELSE newest.as_of - scored.last_purchase END AS recency_days,
    scored.frequency,
    scored.monetary
FROM scored
CROSS JOIN newest
INNER JOIN star.dim_customer USING (customer_key)
WHERE scored.monetary_score >= 4 AND scored.recency_score <= 2
ORDER BY scored.monetary DESC, scored.retailer_id, scored.currency, dim_customer.customer_id
LIMIT 50;

-- Question best_fifth
-- What share of the net sales to known customers comes from the most valuable fifth?
SELECT
    retailer_id,
    currency,
    count(*) FILTER (WHERE monetary_score = 5) AS best_customers,
    sum(monetary) FILTER (WHERE monetary_score = 5) AS of_the_best,
    sum(monetary) AS of_all,
    round(100 * sum(monetary) FILTER (WHERE monetary_score = 5) / nullif(sum(monetary), 0), 2) AS percent_of_the_best
FROM marts.mv_customer_value
GROUP BY retailer_id, currency
ORDER BY retailer_id, currency;

-- From the star
WITH customer AS (
    SELECT
        retailer_id,
        currency,
        customer_key,
        sum(total_amount) AS monetary
    FROM star.fact_sales
    WHERE customer_key <> -1 AND status = 'completed'
    GROUP BY retailer_id, currency, customer_key
),

scored AS (
    SELECT
        *,
        5 - 5 * (rank() OVER (fifths ORDER BY monetary DESC) - 1) / count(*) OVER fifths AS monetary_score
    FROM customer
    WINDOW fifths AS (PARTITION BY retailer_id, currency)
)

SELECT
    retailer_id,
    currency,
    count(*) FILTER (WHERE monetary_score = 5) AS best_customers,
    sum(monetary) FILTER (WHERE monetary_score = 5) AS of_the_best,
    sum(monetary) AS of_all,
    round(100 * sum(monetary) FILTER (WHERE monetary_score = 5) / nullif(sum(monetary), 0), 2) AS percent_of_the_best
FROM scored
GROUP BY retailer_id, currency
ORDER BY retailer_id, currency;
