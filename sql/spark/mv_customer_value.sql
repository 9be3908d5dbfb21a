-- Scores are fifths, as in sql/views/mv_customer_value.sql: tied customers all get the best score of their places.
CREATE OR REPLACE TEMPORARY VIEW mv_customer_value AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM fact_sales
    WHERE customer_key <> -1 AND status = 'completed'
),

newest AS (
    SELECT max(business_date) AS as_of
    FROM fact_sales
    WHERE status = 'completed' AND business_date <= date_add(to_date(updated_at), 1)
),

customer AS (
    SELECT
        retailer_id,
        customer_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS frequency,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        sum(total_amount) AS monetary,
        min(business_date) FILTER (WHERE is_sale) AS first_purchase,
        max(business_date) FILTER (WHERE is_sale) AS last_purchase
    FROM line
    GROUP BY retailer_id, customer_key, currency
),

ranked AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY retailer_id, currency) AS customers,
        rank() OVER (PARTITION BY retailer_id, currency ORDER BY last_purchase DESC NULLS LAST) AS recency_rank,
        rank() OVER (PARTITION BY retailer_id, currency ORDER BY frequency DESC) AS frequency_rank,
        rank() OVER (PARTITION BY retailer_id, currency ORDER BY monetary DESC) AS monetary_rank
    FROM customer
),

scored AS (
    SELECT
        *,
        5 - 5 * (recency_rank - 1) div customers AS recency_score,
        5 - 5 * (frequency_rank - 1) div customers AS frequency_score,
        5 - 5 * (monetary_rank - 1) div customers AS monetary_score
    FROM ranked
)

SELECT
    scored.retailer_id,
    scored.customer_key,
    scored.currency,
    dim_customer.customer_id,
    newest.as_of,
    if(scored.last_purchase > newest.as_of, 0, datediff(newest.as_of, scored.last_purchase)) AS recency_days,
    scored.frequency,
    scored.monetary,
    round(scored.sales_amount / nullif(scored.frequency, 0), 4) AS average_basket,
    scored.first_purchase,
    scored.last_purchase,
    scored.recency_score,
    scored.frequency_score,
    scored.monetary_score,
    concat(
        CAST(scored.recency_score AS string),
        CAST(scored.frequency_score AS string),
        CAST(scored.monetary_score AS string)
    ) AS rfm
FROM scored
CROSS JOIN newest
LEFT JOIN dim_customer ON dim_customer.customer_key = scored.customer_key;
