-- Which share of the net of its currency had each retailer in the newest month that is over, and did it grow?
SELECT
    currency,
    retailer_name,
    net_amount,
    share_percent,
    growth_percent
FROM marts.mv_retailer_comparison
WHERE month_start = (SELECT max(month_start) - interval '1 month' FROM marts.mv_retailer_comparison)
ORDER BY currency, net_amount DESC, retailer_id;
