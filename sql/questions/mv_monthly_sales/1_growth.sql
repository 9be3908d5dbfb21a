-- How did each retailer's net grow over the month before, in the newest month that is over?
SELECT
    retailer_name,
    currency,
    month_start,
    net_amount,
    previous_net_amount,
    growth_amount,
    growth_percent
FROM marts.mv_monthly_sales
WHERE month_start = (SELECT max(month_start) - interval '1 month' FROM marts.mv_monthly_sales)
ORDER BY retailer_id, currency;
