-- The newest days.
SELECT business_date, retailer_name, currency, transactions, lines, gross_amount, discount_amount, net_amount
FROM marts.mv_daily_sales
ORDER BY business_date DESC, retailer_id
LIMIT :rows;
