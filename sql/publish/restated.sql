-- What one run restated, or by default the newest that restated anything; with the transactions that changed each figure most.
SELECT
    restatement.run_id,
    restatement.retailer_id,
    restatement.business_date,
    restatement.currency,
    restatement.figure,
    restatement.before,
    restatement.after,
    restatement.transactions,
    coalesce(named.transaction_ids, ARRAY[]::text [])
FROM marts.restatement
CROSS JOIN LATERAL (
    SELECT array_agg(greatest_change.transaction_id) AS transaction_ids
    FROM (
        SELECT transaction_id
        FROM marts.restated_transaction AS restated
        CROSS JOIN LATERAL (
            SELECT
                CASE restatement.figure
                    WHEN 'rows' THEN restated.rows
                    WHEN 'units' THEN restated.units
                    WHEN 'discount_amount' THEN restated.discount_amount
                    WHEN 'net_amount' THEN restated.net_amount
                    ELSE restated.tax_amount
                END AS change
        ) AS by
        WHERE
            restated.run_id = restatement.run_id
            AND restated.retailer_id = restatement.retailer_id
            AND restated.business_date = restatement.business_date
            AND restated.currency = restatement.currency
            AND by.change <> 0
        ORDER BY abs(by.change) DESC, transaction_id
        LIMIT 3
    ) AS greatest_change
) AS named
WHERE
    restatement.run_id = coalesce(
        %(run_id)s, (SELECT newest.run_id FROM marts.restatement AS newest ORDER BY newest.restated_at DESC, newest.run_id DESC LIMIT 1)
    )
ORDER BY restatement.retailer_id, restatement.business_date, restatement.currency, restatement.figure;
