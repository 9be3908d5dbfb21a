WITH newest AS (
    SELECT
        retailer_id,
        max(business_date) AS newest_date
    FROM star.fact_sales
    WHERE record_type = 'sale' AND status = 'completed'
    GROUP BY retailer_id
),

store AS (
    SELECT
        retailer_id,
        store_key,
        currency,
        max(business_date) FILTER (WHERE record_type = 'sale' AND status = 'completed') AS last_sale,
        sum(total_amount) AS net_amount
    FROM star.fact_sales
    WHERE store_key <> -1
    GROUP BY retailer_id, store_key, currency
)

SELECT
    store.retailer_id,
    store.currency,
    dim_store.store_id,
    dim_store.store_name,
    store.last_sale,
    store.net_amount
FROM store
INNER JOIN newest USING (retailer_id)
INNER JOIN star.dim_store USING (store_key)
WHERE store.last_sale <= newest.newest_date - 28
ORDER BY store.net_amount DESC, store.retailer_id, store.currency, dim_store.store_id;
