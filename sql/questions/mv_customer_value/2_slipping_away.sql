-- Which customers worth most have not bought for long: the two best fifths by value, in the two last by recency?
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
