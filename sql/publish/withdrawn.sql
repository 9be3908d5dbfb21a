-- Facts that Delta does not have: they are removed, like a row that has moved to another day.
INSERT INTO pg_temp.replaced
SELECT
    sales_key,
    retailer_id,
    business_date,
    currency,
    transaction_id,
    quantity,
    discount_amount,
    total_amount,
    tax_amount,
    true AS moved
FROM star.fact_sales AS there
WHERE NOT EXISTS (SELECT FROM {staged} AS sent WHERE sent.sales_key = there.sales_key);
