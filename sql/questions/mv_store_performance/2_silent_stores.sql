-- Which stores had no sale in the 28 days before their retailer's newest sale, and what were their net sales until then?
SELECT
    store.retailer_id,
    store.currency,
    store.store_id,
    store.store_name,
    store.last_sale,
    store.net_amount
FROM marts.mv_store_performance AS store
INNER JOIN (
    SELECT
        retailer_id,
        max(last_sale) AS newest_date
    FROM marts.mv_store_performance
    GROUP BY retailer_id
) AS newest ON newest.retailer_id = store.retailer_id
WHERE store.store_key <> -1 AND store.last_sale <= newest.newest_date - 28
ORDER BY store.net_amount DESC, store.retailer_id, store.currency, store.store_id;
