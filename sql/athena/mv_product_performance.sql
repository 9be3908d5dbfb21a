CREATE OR REPLACE VIEW mv_product_performance AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM fact_sales
),

product AS (
    SELECT
        retailer_id,
        product_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        count(*) FILTER (WHERE is_return) AS returns,
        coalesce(sum(quantity) FILTER (WHERE is_return), 0) AS returned_units,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount,
        min(business_date) FILTER (WHERE is_sale) AS first_sold,
        max(business_date) FILTER (WHERE is_sale) AS last_sold
    FROM line
    GROUP BY retailer_id, product_key, currency
)

SELECT
    product.retailer_id,
    product.product_key,
    product.currency,
    dim_product.product_id,
    dim_product.product_name,
    dim_product.brand,
    dim_product.category,
    dim_product.gtin,
    product.transactions,
    product.units,
    product.sales_amount,
    product.returns,
    product.returned_units,
    product.returns_amount,
    product.net_amount,
    CASE
        WHEN product.product_key <> -1
            THEN rank() OVER (
                PARTITION BY product.retailer_id, product.currency, product.product_key = -1
                ORDER BY product.net_amount DESC
            )
    END AS net_rank,
    product.first_sold,
    product.last_sold
FROM product
LEFT JOIN dim_product ON dim_product.product_key = product.product_key;
