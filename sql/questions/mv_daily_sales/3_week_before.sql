-- How do the baskets and net sales of the newest 28 days compare with the same weekday a week before?
SELECT
    day.business_date,
    day.retailer_name,
    day.currency,
    day.average_basket,
    day.net_amount,
    week_before.average_basket AS average_basket_before,
    day.net_amount - week_before.net_amount AS net_change
FROM marts.mv_daily_sales AS day
LEFT JOIN marts.mv_daily_sales AS week_before
    ON
        week_before.retailer_id = day.retailer_id
        AND week_before.currency = day.currency
        AND week_before.business_date = day.business_date - 7
WHERE day.business_date > (SELECT max(business_date) - 28 FROM marts.mv_daily_sales)
ORDER BY day.business_date, day.retailer_id, day.currency;
