-- Which products that sold in ten transactions or more have not sold for sixty days, those that brought most first?
SELECT
    retailer_id,
    currency,
    product_id,
    product_name,
    transactions,
    last_sold,
    net_amount
FROM marts.mv_product_performance AS product
INNER JOIN (
    SELECT
        retailer_id,
        max(last_sold) AS newest_date
    FROM marts.mv_product_performance
    GROUP BY retailer_id
) AS newest USING (retailer_id)
WHERE
    product.product_key <> -1
    AND product.transactions >= 10
    AND product.last_sold <= newest.newest_date - 60
ORDER BY net_amount DESC, retailer_id, currency, product_id
LIMIT 50;
