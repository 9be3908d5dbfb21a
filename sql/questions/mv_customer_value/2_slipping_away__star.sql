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
        1 + 5 * (rank() OVER (fifths ORDER BY monetary) - 1) / count(*) OVER fifths AS monetary_score
    FROM customer
    WINDOW fifths AS (PARTITION BY retailer_id, currency)
)

SELECT
    scored.retailer_id,
    scored.currency,
    dim_customer.customer_id,
    scored.last_purchase,
    (SELECT max(business_date) FROM star.fact_sales) - scored.last_purchase AS recency_days,
    scored.frequency,
    scored.monetary
FROM scored
INNER JOIN star.dim_customer USING (customer_key)
WHERE scored.monetary_score >= 4 AND scored.recency_score <= 2
ORDER BY scored.monetary DESC, scored.retailer_id, scored.currency, dim_customer.customer_id
LIMIT 50;
