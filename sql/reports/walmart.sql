-- Lines of Walmart's payment report that are about goods, by the day on which they count here.
-- psql -v retailer=retailer_2 -v first=2017-02-01 -v last=2017-02-28 -f sql/reports/walmart.sql
-- What is equal, and on which day Walmart has it: docs/RETAILER_REPORTS.md.
SELECT
    line.business_date,
    line.currency AS "Currency",
    CASE line.record_type WHEN 'sale' THEN 'Sale' ELSE 'Refund' END AS "Transaction Type",
    part.amount_type AS "Amount Type",
    sum(part.amount) AS "Amount"
FROM star.fact_sales AS line
CROSS JOIN LATERAL (
    VALUES
    ('Product Price', line.total_amount),
    ('Product tax', line.tax_amount)
) AS part (amount_type, amount)
WHERE
    line.retailer_id = :'retailer'
    AND line.business_date BETWEEN :'first' AND :'last'
    AND line.status = 'completed'
GROUP BY 1, 2, 3, 4
HAVING sum(part.amount) <> 0
ORDER BY 1, 2, 3, 4;
