-- How much was returned in each month, as a percentage of that month's sales after discount, whenever it was sold?
SELECT
    retailer_name,
    currency,
    month_start,
    sales_amount,
    returns_amount,
    round(100 * -returns_amount / nullif(sales_amount, 0), 2) AS returned_percent
FROM marts.mv_monthly_sales
ORDER BY retailer_id, currency, month_start;
