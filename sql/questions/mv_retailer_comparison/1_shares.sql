-- Which share of the net of its currency had each retailer in the newest month that is over, and did it grow?
SELECT
    currency,
    retailer_name,
    net_amount,
    share_percent,
    growth_percent
FROM marts.mv_retailer_comparison
WHERE
    month_start = (
        -- the month before that of the day after the newest
        SELECT date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month'
        FROM marts.mv_daily_sales
    )
ORDER BY currency, net_amount DESC, retailer_id;
