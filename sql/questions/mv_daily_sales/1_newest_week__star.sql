WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE business_date > (SELECT max(business_date) - 7 FROM star.fact_sales)
)

SELECT
    dim_retailer.retailer_name,
    line.currency,
    coalesce(sum(line.total_amount + coalesce(line.discount_amount, 0)) FILTER (WHERE line.is_sale), 0) AS gross_amount,
    coalesce(sum(line.total_amount) FILTER (WHERE line.is_sale), 0) AS sales_amount,
    coalesce(sum(line.total_amount) FILTER (WHERE line.record_type IN ('return', 'refund')), 0) AS returns_amount,
    sum(line.total_amount) AS net_amount
FROM line
INNER JOIN star.dim_retailer USING (retailer_key)
GROUP BY dim_retailer.retailer_id, dim_retailer.retailer_name, line.currency
ORDER BY dim_retailer.retailer_id, line.currency;
