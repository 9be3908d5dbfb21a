CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_product_performance AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM star.fact_sales
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
LEFT JOIN star.dim_product USING (product_key);

CREATE UNIQUE INDEX IF NOT EXISTS mv_product_performance_key
ON marts.mv_product_performance (retailer_id, product_key, currency);

COMMENT ON MATERIALIZED VIEW marts.mv_product_performance IS 'Sales and returns per product of a retailer, over all time';
COMMENT ON COLUMN marts.mv_product_performance.retailer_id IS 'As in the configuration: retailer_1';
COMMENT ON COLUMN marts.mv_product_performance.currency IS 'ISO 4217; amounts in different currencies are never added';
COMMENT ON COLUMN marts.mv_product_performance.product_id IS 'The retailer''s own SKU';
COMMENT ON COLUMN marts.mv_product_performance.product_name IS 'As the retailer writes it';
COMMENT ON COLUMN marts.mv_product_performance.brand IS 'NULL if unknown';
COMMENT ON COLUMN marts.mv_product_performance.category IS 'The retailer''s own category';
COMMENT ON COLUMN marts.mv_product_performance.gtin IS 'Global Trade Item Number';
COMMENT ON COLUMN marts.mv_product_performance.product_key IS '-1 for sales with an unknown product';
COMMENT ON COLUMN marts.mv_product_performance.transactions IS 'Transactions with at least one completed sale line of the product';
COMMENT ON COLUMN marts.mv_product_performance.units IS 'Quantity of completed sale lines';
COMMENT ON COLUMN marts.mv_product_performance.sales_amount IS 'Completed sales after discount, without tax';
COMMENT ON COLUMN marts.mv_product_performance.returns IS 'Return and refund lines';
COMMENT ON COLUMN marts.mv_product_performance.returned_units IS 'Quantity returned, negative';
COMMENT ON COLUMN marts.mv_product_performance.returns_amount IS 'Returns and refunds, negative';
COMMENT ON COLUMN marts.mv_product_performance.net_amount IS 'sales_amount + returns_amount';
COMMENT ON COLUMN marts.mv_product_performance.net_rank IS 'Rank by net_amount within retailer and currency, 1 is best, ties share a rank; NULL for unknown';
COMMENT ON COLUMN marts.mv_product_performance.first_sold IS 'First business day of a completed sale; NULL without one';
COMMENT ON COLUMN marts.mv_product_performance.last_sold IS 'Last business day of a completed sale; NULL without one';
