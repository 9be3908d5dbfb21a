-- Which retailer had the largest average basket (sales after discount) in each month, with how many known customers and stores?
SELECT DISTINCT ON (month_start, currency)
    month_start,
    currency,
    retailer_name,
    average_basket,
    transactions,
    active_customers,
    active_stores
FROM marts.mv_retailer_comparison
ORDER BY month_start, currency, average_basket DESC NULLS LAST, retailer_id;
