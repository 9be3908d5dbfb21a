-- What mv_daily_sales shows for a line's day, and since when; no row if the view was last refreshed before the line was published.
SELECT
    daily.fact_rows,
    daily.net_amount,
    freshness.refreshed_at
FROM marts.mv_daily_sales AS daily
JOIN marts.freshness ON freshness.view = 'mv_daily_sales'
WHERE
    daily.retailer_id = %(retailer_id)s
    AND daily.business_date = %(business_date)s
    AND daily.currency = %(currency)s
    AND freshness.refreshed_at >= %(published_at)s;
