SELECT
    fact.retailer_id,
    fact.currency,
    dim_store.store_country,
    dim_store.store_region,
    count(DISTINCT fact.store_key) AS stores,
    sum(fact.total_amount) AS net_amount,
    round(sum(fact.total_amount) / count(DISTINCT fact.store_key), 2) AS net_a_store
FROM star.fact_sales AS fact
INNER JOIN star.dim_store USING (store_key)
WHERE fact.store_key <> -1
GROUP BY fact.retailer_id, fact.currency, dim_store.store_country, dim_store.store_region
ORDER BY fact.retailer_id, fact.currency, net_amount DESC, dim_store.store_country, dim_store.store_region;
