-- What share of the net sales in its currency did each retailer have in the newest complete month, and did its sales grow?
SELECT
    currency,
    retailer_name,
    net_amount,
    share_percent,
    growth_percent
FROM marts.mv_retailer_comparison
WHERE
    month_start = (
        -- the month before the month of the day after the newest
        SELECT date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month'
        FROM marts.mv_daily_sales
    )
ORDER BY currency, net_amount DESC, retailer_id;
