-- What are the average net sales on each weekday (1 is Monday), over the days that have rows?
SELECT
    retailer_name,
    currency,
    extract(ISODOW FROM business_date)::integer AS weekday,
    count(*) AS days,
    round(avg(net_amount), 2) AS net_a_day
FROM marts.mv_daily_sales
GROUP BY retailer_id, retailer_name, currency, weekday
ORDER BY retailer_id, currency, weekday;
