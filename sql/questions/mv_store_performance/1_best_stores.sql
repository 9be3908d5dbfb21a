-- Which ten stores of each retailer have the highest net sales, and what are their average basket and number of known customers?
SELECT
    retailer_id,
    currency,
    net_rank,
    store_id,
    store_name,
    net_amount,
    average_basket,
    customers
FROM marts.mv_store_performance
WHERE net_rank <= 10
ORDER BY retailer_id, currency, net_rank, store_id;
