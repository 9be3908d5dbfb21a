-- What did each retailer sell in the newest seven days: before discount, after discount, and net of returns in those days?
SELECT
    retailer_name,
    currency,
    sum(gross_amount) AS gross_amount,
    sum(sales_amount) AS sales_amount,
    sum(returns_amount) AS returns_amount,
    sum(net_amount) AS net_amount
FROM marts.mv_daily_sales
WHERE business_date > (SELECT max(business_date) - 7 FROM marts.mv_daily_sales)
GROUP BY retailer_id, retailer_name, currency
ORDER BY retailer_id, currency;
