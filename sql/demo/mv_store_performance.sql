-- The stores with the highest sales.
SELECT retailer_id, store_name, currency, transactions, net_amount, average_basket, customers, net_rank
FROM marts.mv_store_performance
ORDER BY net_amount DESC, store_key
LIMIT :rows;
