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
