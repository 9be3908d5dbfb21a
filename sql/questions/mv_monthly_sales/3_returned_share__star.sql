WITH month AS (
    SELECT
        retailer_key,
        currency,
        date_trunc('month', business_date::timestamp)::date AS month_start,
        coalesce(sum(total_amount) FILTER (WHERE record_type = 'sale' AND status = 'completed'), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE record_type IN ('return', 'refund')), 0) AS returns_amount
    FROM star.fact_sales
    GROUP BY retailer_key, currency, month_start
)

SELECT
    dim_retailer.retailer_name,
    month.currency,
    month.month_start,
    month.sales_amount,
    month.returns_amount,
    round(100 * -month.returns_amount / nullif(month.sales_amount, 0), 2) AS returned_percent
FROM month
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY dim_retailer.retailer_id, month.currency, month.month_start;
