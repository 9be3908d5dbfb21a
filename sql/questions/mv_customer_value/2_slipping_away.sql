-- Which valuable customers have not bought for a long time: in the top two fifths by value and the bottom two by recency?
SELECT
    retailer_id,
    currency,
    customer_id,
    last_purchase,
    recency_days,
    frequency,
    monetary
FROM marts.mv_customer_value
WHERE monetary_score >= 4 AND recency_score <= 2
ORDER BY monetary DESC, retailer_id, currency, customer_id
LIMIT 50;
