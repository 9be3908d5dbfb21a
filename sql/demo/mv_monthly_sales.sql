-- The newest months, with the growth over the previous month.
SELECT month_start, retailer_name, currency, transactions, net_amount, previous_net_amount, growth_percent
FROM marts.mv_monthly_sales
ORDER BY month_start DESC, retailer_id
LIMIT :rows;
