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
