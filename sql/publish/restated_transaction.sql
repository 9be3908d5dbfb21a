INSERT INTO marts.restated_transaction AS known (
    run_id, retailer_id, business_date, currency, transaction_id, rows, units, discount_amount, net_amount, tax_amount
)
SELECT
    {run_id},
    retailer_id,
    business_date,
    currency,
    transaction_id,
    rows,
    units,
    discount_amount,
    net_amount,
    tax_amount
FROM pg_temp.restating
ON CONFLICT (run_id, retailer_id, business_date, currency, transaction_id) DO UPDATE
SET
    rows = known.rows + excluded.rows,
    units = known.units + excluded.units,
    discount_amount = known.discount_amount + excluded.discount_amount,
    net_amount = known.net_amount + excluded.net_amount,
    tax_amount = known.tax_amount + excluded.tax_amount;

DELETE FROM marts.restated_transaction
WHERE
    run_id = {run_id}
    AND rows = 0
    AND units = 0
    AND discount_amount = 0
    AND net_amount = 0
    AND tax_amount = 0;
