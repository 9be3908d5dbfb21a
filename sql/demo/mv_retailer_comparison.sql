-- The retailers side by side.
SELECT month_start, retailer_name, currency, net_amount, share_percent, average_basket, active_customers, active_stores
FROM marts.mv_retailer_comparison
ORDER BY month_start DESC, net_amount DESC
LIMIT :rows;
