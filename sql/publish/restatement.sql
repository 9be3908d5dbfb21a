WITH change AS (
    SELECT
        retailer_id,
        business_date,
        currency,
        figure,
        sum(change) AS change,
        count(*) FILTER (WHERE change <> 0) AS transactions
    FROM pg_temp.restating,
        LATERAL (VALUES
            ('rows', rows), ('units', units), ('discount_amount', discount_amount),
            ('net_amount', net_amount), ('tax_amount', tax_amount)) AS figure (figure, change)
    GROUP BY retailer_id, business_date, currency, figure
),

published AS (
    SELECT retailer_id, business_date, currency, figure, before
    FROM pg_temp.published_day,
        LATERAL (VALUES
            ('rows', rows), ('units', units), ('discount_amount', discount_amount),
            ('net_amount', net_amount), ('tax_amount', tax_amount)) AS figure (figure, before)
)

INSERT INTO marts.restatement (run_id, retailer_id, business_date, currency, figure, before, after, transactions)
SELECT {run_id}, retailer_id, business_date, currency, figure, before, before + change, transactions
FROM change
JOIN published USING (retailer_id, business_date, currency, figure)
WHERE change <> 0
-- A run that publishes twice, because a task was cleared, restates what it published first.
ON CONFLICT (run_id, retailer_id, business_date, currency, figure) DO UPDATE
SET after = excluded.after, transactions = greatest(restatement.transactions, excluded.transactions), restated_at = now();

-- A figure that it has set back since is not a restatement.
DELETE FROM marts.restatement WHERE run_id = {run_id} AND before = after;
