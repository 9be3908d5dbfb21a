-- What are the net sales of the stores in each country and region, in total and per store?
SELECT
    retailer_id,
    currency,
    store_country,
    store_region,
    count(*) AS stores,
    sum(net_amount) AS net_amount,
    round(sum(net_amount) / count(*), 2) AS net_a_store
FROM marts.mv_store_performance
WHERE store_key <> -1
GROUP BY retailer_id, currency, store_country, store_region
ORDER BY retailer_id, currency, net_amount DESC, store_country, store_region;
