-- The best-selling products.
SELECT retailer_id, product_id, product_name, currency, transactions, units, net_amount, net_rank
FROM marts.mv_product_performance
ORDER BY net_amount DESC, product_key
LIMIT :rows;
