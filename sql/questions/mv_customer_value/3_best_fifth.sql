-- What share of the net sales to known customers comes from the most valuable fifth?
SELECT
    retailer_id,
    currency,
    count(*) FILTER (WHERE monetary_score = 5) AS best_customers,
    sum(monetary) FILTER (WHERE monetary_score = 5) AS of_the_best,
    sum(monetary) AS of_all,
    round(100 * sum(monetary) FILTER (WHERE monetary_score = 5) / nullif(sum(monetary), 0), 2) AS percent_of_the_best
FROM marts.mv_customer_value
GROUP BY retailer_id, currency
ORDER BY retailer_id, currency;
