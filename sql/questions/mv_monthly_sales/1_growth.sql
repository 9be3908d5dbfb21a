-- How did each retailer's net sales grow over the previous month, in the newest complete month?
SELECT
    retailer_name,
    currency,
    month_start,
    net_amount,
    previous_net_amount,
    growth_amount,
    growth_percent
FROM marts.mv_monthly_sales
WHERE
    month_start = (
        -- the month before the month of the day after the newest
        SELECT date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month'
        FROM marts.mv_daily_sales
    )
ORDER BY retailer_id, currency;
