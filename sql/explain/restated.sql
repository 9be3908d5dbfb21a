-- The runs in which a transaction changed a day that had been published before.
SELECT
    run_id,
    business_date,
    currency,
    rows,
    net_amount
FROM marts.restated_transaction
WHERE retailer_id = %(retailer_id)s AND transaction_id = %(transaction_id)s
ORDER BY run_id, business_date;
