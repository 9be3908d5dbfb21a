-- The rows of a sales_key or a transaction, with names, and the publish that brought them.
SELECT
    fact.*,
    dim_retailer.retailer_name,
    dim_product.product_id,
    dim_product.product_name,
    dim_store.store_id,
    dim_store.store_name,
    publish.published_by,
    publish.published_at
FROM star.fact_sales AS fact
JOIN star.dim_retailer USING (retailer_key)
JOIN star.dim_product USING (product_key)
JOIN star.dim_store USING (store_key)
LEFT JOIN ops.publish ON publish.run_id = fact.changed_run_id
WHERE fact.sales_key = %(sales_key)s OR fact.transaction_id = %(transaction_id)s
ORDER BY fact.retailer_id, fact.transaction_id, fact.business_date, fact.line_id;
