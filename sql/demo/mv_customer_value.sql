-- The most valuable customers; a customer is a pseudonym.
SELECT retailer_id, left(customer_id, 12) AS customer, currency, recency_days, frequency, monetary, average_basket, rfm
FROM marts.mv_customer_value
ORDER BY monetary DESC, customer_key
LIMIT :rows;
