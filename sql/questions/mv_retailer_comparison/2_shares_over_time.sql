-- How has each retailer's share of its currency's net moved, month by month, in points?
SELECT
    month_start,
    currency,
    retailer_name,
    share_percent,
    share_percent - lag(share_percent) OVER (PARTITION BY currency, retailer_id ORDER BY month_start) AS points
FROM marts.mv_retailer_comparison
ORDER BY month_start, currency, retailer_id;
