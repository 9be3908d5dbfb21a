WITH customer AS (
    SELECT
        retailer_id,
        currency,
        customer_key,
        sum(total_amount) AS monetary
    FROM star.fact_sales
    WHERE customer_key <> -1
    GROUP BY retailer_id, currency, customer_key
),

scored AS (
    SELECT
        *,
        1 + 5 * (rank() OVER (fifths ORDER BY monetary) - 1) / count(*) OVER fifths AS monetary_score
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
