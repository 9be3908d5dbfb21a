-- Which twenty products of each retailer have the highest net sales?
SELECT
    retailer_id,
    currency,
    net_rank,
    product_id,
    product_name,
    transactions,
    units,
    net_amount
FROM marts.mv_product_performance
WHERE net_rank <= 20
ORDER BY retailer_id, currency, net_rank, product_id;
