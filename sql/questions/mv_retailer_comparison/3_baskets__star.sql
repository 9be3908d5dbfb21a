WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
),

month AS (
    SELECT
        date_trunc('month', business_date::timestamp)::date AS month_start,
        currency,
        retailer_key,
        round(
            coalesce(sum(total_amount) FILTER (WHERE is_sale), 0)
            / nullif(count(DISTINCT transaction_id) FILTER (WHERE is_sale), 0), 4
        ) AS average_basket,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS active_customers,
        count(DISTINCT store_key) FILTER (WHERE is_sale AND store_key <> -1) AS active_stores
    FROM line
    GROUP BY month_start, currency, retailer_key
)

SELECT DISTINCT ON (month.month_start, month.currency)
    month.month_start,
    month.currency,
    dim_retailer.retailer_name,
    month.average_basket,
    month.transactions,
    month.active_customers,
    month.active_stores
FROM month
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY month.month_start, month.currency, month.average_basket DESC NULLS LAST, dim_retailer.retailer_id;
