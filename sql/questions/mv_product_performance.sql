-- Question best_products
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

-- From the star
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE product_key <> -1
),

product AS (
    SELECT
        retailer_id,
        product_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, product_key, currency
),

ranked AS (
    SELECT
        *,
        rank() OVER (PARTITION BY retailer_id, currency ORDER BY net_amount DESC) AS net_rank
    FROM product
)

SELECT
    ranked.retailer_id,
    ranked.currency,
    ranked.net_rank,
    dim_product.product_id,
    dim_product.product_name,
    ranked.transactions,
    ranked.units,
    ranked.net_amount
FROM ranked
INNER JOIN star.dim_product USING (product_key)
WHERE ranked.net_rank <= 20
ORDER BY ranked.retailer_id, ranked.currency, ranked.net_rank, dim_product.product_id;

-- Question categories
-- What are the net sales of each category, how many products does it have, and what share of its sales was returned?
SELECT
    retailer_id,
    currency,
    category,
    count(*) FILTER (WHERE product_key <> -1) AS products,
    sum(sales_amount) AS sales_amount,
    sum(returns_amount) AS returns_amount,
    sum(net_amount) AS net_amount,
    round(100 * -sum(returns_amount) / nullif(sum(sales_amount), 0), 2) AS returned_percent
FROM marts.mv_product_performance
GROUP BY retailer_id, currency, category
ORDER BY retailer_id, currency, net_amount DESC, category;

-- From the star
WITH category AS (
    SELECT
        fact.retailer_id,
        fact.currency,
        dim_product.category,
        count(DISTINCT fact.product_key) FILTER (WHERE fact.product_key <> -1) AS products,
        coalesce(
            sum(fact.total_amount) FILTER (WHERE fact.record_type = 'sale' AND fact.status = 'completed'), 0
        ) AS sales_amount,
        coalesce(
            sum(fact.total_amount) FILTER (WHERE fact.record_type IN ('return', 'refund')), 0
        ) AS returns_amount,
        sum(fact.total_amount) AS net_amount
    FROM star.fact_sales AS fact
    INNER JOIN star.dim_product USING (product_key)
    GROUP BY fact.retailer_id, fact.currency, dim_product.category
)

SELECT
    *,
    round(100 * -returns_amount / nullif(sales_amount, 0), 2) AS returned_percent
FROM category
ORDER BY retailer_id, currency, net_amount DESC, category;

-- Question gone_quiet
-- Which products with ten or more transactions have not sold for sixty days, highest net sales first?
SELECT
    product.retailer_id,
    product.currency,
    product.product_id,
    product.product_name,
    product.transactions,
    product.last_sold,
    product.net_amount
FROM marts.mv_product_performance AS product
INNER JOIN (
    SELECT
        retailer_id,
        max(business_date) AS newest_date
    FROM marts.mv_daily_sales
    WHERE lines > 0
    GROUP BY retailer_id
) AS newest ON newest.retailer_id = product.retailer_id
WHERE
    product.product_key <> -1
    AND product.transactions >= 10
    AND product.last_sold <= newest.newest_date - 60
ORDER BY product.net_amount DESC, product.retailer_id, product.currency, product.product_id
LIMIT 50;

-- From the star
WITH newest AS (
    SELECT
        retailer_id,
        max(business_date) AS newest_date
    FROM star.fact_sales
    WHERE record_type = 'sale' AND status = 'completed'
    GROUP BY retailer_id
),

product AS (
    SELECT
        retailer_id,
        product_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE record_type = 'sale' AND status = 'completed') AS transactions,
        max(business_date) FILTER (WHERE record_type = 'sale' AND status = 'completed') AS last_sold,
        sum(total_amount) AS net_amount
    FROM star.fact_sales
    WHERE product_key <> -1
    GROUP BY retailer_id, product_key, currency
)

SELECT
    product.retailer_id,
    product.currency,
    dim_product.product_id,
    dim_product.product_name,
    product.transactions,
    product.last_sold,
    product.net_amount
FROM product
INNER JOIN newest USING (retailer_id)
INNER JOIN star.dim_product USING (product_key)
WHERE product.transactions >= 10 AND product.last_sold <= newest.newest_date - 60
ORDER BY product.net_amount DESC, product.retailer_id, product.currency, dim_product.product_id
LIMIT 50;
