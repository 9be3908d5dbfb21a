-- What are each retailer's net sales in the newest year so far, per month and cumulative?
SELECT
    retailer_name,
    currency,
    month_start,
    net_amount,
    sum(net_amount) OVER (PARTITION BY retailer_id, currency ORDER BY month_start) AS year_to_date
FROM marts.mv_monthly_sales
WHERE month_start >= (SELECT date_trunc('year', max(month_start)) FROM marts.mv_monthly_sales)
ORDER BY retailer_id, currency, month_start;
