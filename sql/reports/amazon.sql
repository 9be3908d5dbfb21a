-- Lines of Amazon's settlement report (flat file V2) that are about goods, by the day on which they count here.
-- psql -v retailer=retailer_1 -v first=2017-02-01 -v last=2017-02-28 -f sql/reports/amazon.sql
-- What is equal, and on which day Amazon has it: docs/RETAILER_REPORTS.md.
WITH line AS (
    SELECT
        business_date,
        currency,
        CASE record_type WHEN 'sale' THEN 'Order' ELSE 'Refund' END AS transaction_type,
        total_amount,
        tax_amount,
        CASE record_type WHEN 'sale' THEN -discount_amount ELSE discount_amount END AS promotion
    FROM star.fact_sales
    WHERE
        retailer_id = :'retailer'
        AND business_date BETWEEN :'first' AND :'last'
        AND status = 'completed'
)

SELECT
    line.business_date,
    line.currency,
    line.transaction_type AS "transaction-type",
    part.amount_type AS "amount-type",
    part.amount_description AS "amount-description",
    sum(part.amount) AS amount
FROM line
CROSS JOIN LATERAL (
    VALUES
    ('ItemPrice', 'Principal', line.total_amount - coalesce(line.promotion, 0)),
    ('ItemPrice', 'Tax', line.tax_amount),
    ('Promotion', 'Principal', line.promotion)
) AS part (amount_type, amount_description, amount)
GROUP BY
    line.business_date,
    line.currency,
    line.transaction_type,
    part.amount_type,
    part.amount_description
HAVING sum(part.amount) <> 0
ORDER BY 1, 2, 3, 4, 5;
