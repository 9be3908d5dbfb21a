WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE customer_key <> -1
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
        1 + 5 * (rank() OVER (fifths ORDER BY last_purchase NULLS FIRST) - 1) / count(*) OVER fifths AS recency_score,
        1 + 5 * (rank() OVER (fifths ORDER BY frequency) - 1) / count(*) OVER fifths AS frequency_score
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
    round(avg((SELECT max(business_date) FROM star.fact_sales) - last_purchase), 1) AS days_since_purchase
FROM scored
GROUP BY retailer_id, currency, recency_score, frequency_score
ORDER BY retailer_id, currency, recency_score DESC, frequency_score DESC;
