-- How many customers are in each segment of recency and frequency, and what are their sales net of returns?
SELECT
    retailer_id,
    currency,
    recency_score,
    frequency_score,
    count(*) AS customers,
    sum(monetary) AS net_amount,
    round(avg(recency_days), 1) AS days_since_purchase
FROM marts.mv_customer_value
GROUP BY retailer_id, currency, recency_score, frequency_score
ORDER BY retailer_id, currency, recency_score DESC, frequency_score DESC;
