-- Kept sums of days that the star, and so the view of days, does not show: somebody changed it by hand. They are summed up anew when needed.
DELETE FROM ops.published_day AS kept
WHERE NOT EXISTS (
    SELECT FROM marts.mv_daily_sales AS shown
    WHERE
        shown.retailer_id = kept.retailer_id
        AND shown.business_date = kept.business_date
        AND shown.currency = kept.currency
        AND shown.fact_rows = kept.rows
        AND shown.net_amount = kept.net_amount
);
