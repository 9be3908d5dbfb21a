WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE store_key <> -1
),

store AS (
    SELECT
        retailer_id,
        store_key,
        currency,
        sum(total_amount) AS net_amount,
        round(
            coalesce(sum(total_amount) FILTER (WHERE is_sale), 0)
            / nullif(count(DISTINCT transaction_id) FILTER (WHERE is_sale), 0), 4
        ) AS average_basket,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS customers
    FROM line
    GROUP BY retailer_id, store_key, currency
),

ranked AS (
    SELECT
        *,
        rank() OVER (PARTITION BY retailer_id, currency ORDER BY net_amount DESC) AS net_rank
    FROM store
)

SELECT
    ranked.retailer_id,
    ranked.currency,
    ranked.net_rank,
    dim_store.store_id,
    dim_store.store_name,
    ranked.net_amount,
    ranked.average_basket,
    ranked.customers
FROM ranked
INNER JOIN star.dim_store USING (store_key)
WHERE ranked.net_rank <= 10
ORDER BY ranked.retailer_id, ranked.currency, ranked.net_rank, dim_store.store_id;
