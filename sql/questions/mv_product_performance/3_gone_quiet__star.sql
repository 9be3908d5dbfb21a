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
