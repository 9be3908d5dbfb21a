-- Shopify's sales report by day, as far as it is about goods of orders that were not cancelled.
-- psql -v retailer=retailer_3 -v first=2017-02-01 -v last=2017-02-28 -f sql/reports/shopify.sql
-- What is equal, and how to tell what is not: docs/RETAILER_REPORTS.md.
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AS is_sale
    FROM star.fact_sales
    WHERE
        retailer_id = :'retailer'
        AND business_date BETWEEN :'first' AND :'last'
        AND status = 'completed'
)

SELECT
    business_date AS day,
    currency,
    coalesce(sum(total_amount + coalesce(discount_amount, 0)) FILTER (WHERE is_sale), 0) AS gross_sales,
    coalesce(-sum(discount_amount) FILTER (WHERE is_sale), 0) AS discounts,
    coalesce(sum(total_amount) FILTER (WHERE NOT is_sale), 0) AS returns,
    coalesce(sum(total_amount), 0) AS net_sales,
    coalesce(sum(tax_amount), 0) AS taxes,
    coalesce(sum(total_amount + coalesce(tax_amount, 0)), 0) AS total_sales_without_shipping
FROM line
GROUP BY 1, 2
ORDER BY 1, 2;
