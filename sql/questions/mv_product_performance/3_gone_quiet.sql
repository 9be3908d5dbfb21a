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
