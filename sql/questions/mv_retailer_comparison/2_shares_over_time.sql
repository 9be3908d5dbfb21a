-- How has each retailer's share of the net sales in its currency changed from month to month, in percentage points?
SELECT
    month_start,
    currency,
    retailer_name,
    share_percent,
    share_percent - lag(share_percent) OVER (PARTITION BY currency, retailer_id ORDER BY month_start) AS points
FROM marts.mv_retailer_comparison
ORDER BY month_start, currency, retailer_id;
