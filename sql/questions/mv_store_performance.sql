-- Question best_stores
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

-- From the star
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE store_key <> -1
),

store AS (
    SELECT
        retailer_id,
        store_key,
        currency,
        sum(total_amount) AS net_amount,
        round(
            coalesce(sum(total_amount) FILTER (WHERE is_sale), 0)
            / nullif(count(DISTINCT transaction_id) FILTER (WHERE is_sale), 0), 4
        ) AS average_basket,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS customers
    FROM line
    GROUP BY retailer_id, store_key, currency
),

ranked AS (
    SELECT
        *,
        rank() OVER (PARTITION BY retailer_id, currency ORDER BY net_amount DESC) AS net_rank
    FROM store
)

SELECT
    ranked.retailer_id,
    ranked.currency,
    ranked.net_rank,
    dim_store.store_id,
    dim_store.store_name,
    ranked.net_amount,
    ranked.average_basket,
    ranked.customers
FROM ranked
INNER JOIN star.dim_store USING (store_key)
WHERE ranked.net_rank <= 10
ORDER BY ranked.retailer_id, ranked.currency, ranked.net_rank, dim_store.store_id;

-- Question silent_stores
-- Which stores had no sale in the 28 days before their retailer's newest sale, and what were their net sales until then?
SELECT
    retailer_id,
    currency,
    store_id,
    store_name,
    last_sale,
    net_amount
FROM (
    SELECT
        *,
        -- in whatever currency
        max(last_sale) OVER (PARTITION BY retailer_id, store_key) AS last_sale_of_store,
        max(last_sale) OVER (PARTITION BY retailer_id) AS newest_date
    FROM marts.mv_store_performance
) AS store
WHERE store_key <> -1 AND last_sale_of_store <= newest_date - 28
ORDER BY net_amount DESC, retailer_id, currency, store_id;

-- From the star
WITH newest AS (
    SELECT
        retailer_id,
        max(business_date) AS newest_date
    FROM star.fact_sales
    WHERE record_type = 'sale' AND status = 'completed'
    GROUP BY retailer_id
),

silent AS (
    SELECT
        fact.retailer_id,
        fact.store_key
    FROM star.fact_sales AS fact
    INNER JOIN newest USING (retailer_id)
    WHERE fact.store_key <> -1 AND fact.record_type = 'sale' AND fact.status = 'completed'
    GROUP BY fact.retailer_id, fact.store_key, newest.newest_date
    HAVING max(fact.business_date) <= newest.newest_date - 28
)

SELECT
    fact.retailer_id,
    fact.currency,
    dim_store.store_id,
    dim_store.store_name,
    max(fact.business_date) FILTER (WHERE fact.record_type = 'sale' AND fact.status = 'completed') AS last_sale,
    sum(fact.total_amount) AS net_amount
FROM star.fact_sales AS fact
INNER JOIN silent USING (retailer_id, store_key)
INNER JOIN star.dim_store USING (store_key)
GROUP BY fact.retailer_id, fact.currency, fact.store_key, dim_store.store_id, dim_store.store_name
ORDER BY net_amount DESC, fact.retailer_id, fact.currency, dim_store.store_id;

-- Question regions
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

-- From the star
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
