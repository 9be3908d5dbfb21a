CREATE OR REPLACE TEMPORARY VIEW mv_store_performance AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM fact_sales
),

store AS (
    SELECT
        retailer_id,
        store_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS customers,
        min(business_date) FILTER (WHERE is_sale) AS first_sale,
        max(business_date) FILTER (WHERE is_sale) AS last_sale
    FROM line
    GROUP BY retailer_id, store_key, currency
)

SELECT
    store.retailer_id,
    store.store_key,
    store.currency,
    dim_store.store_id,
    dim_store.store_name,
    dim_store.store_city,
    dim_store.store_region,
    dim_store.store_country,
    store.transactions,
    store.units,
    store.sales_amount,
    store.returns_amount,
    store.net_amount,
    round(store.sales_amount / nullif(store.transactions, 0), 4) AS average_basket,
    store.customers,
    CASE
        WHEN store.store_key <> -1
            THEN rank() OVER (
                PARTITION BY store.retailer_id, store.currency, store.store_key = -1
                ORDER BY store.net_amount DESC
            )
    END AS net_rank,
    store.first_sale,
    store.last_sale
FROM store
LEFT JOIN dim_store ON dim_store.store_key = store.store_key;
