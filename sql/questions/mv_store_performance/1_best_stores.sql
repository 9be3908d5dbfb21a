-- Which ten stores of each retailer bring most net, with what basket and how many known customers?
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
