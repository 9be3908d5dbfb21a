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
