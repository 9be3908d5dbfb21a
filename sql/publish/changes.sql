-- The rows that the staged ones take the place of.
CREATE TEMP TABLE replaced AS
SELECT
    retailer_id,
    business_date,
    currency,
    transaction_id,
    quantity,
    discount_amount,
    total_amount,
    tax_amount
FROM star.fact_sales
WHERE
    {within_months}
    AND sales_key IN (SELECT sales_key FROM pg_temp.staged_fact_sales);

-- The figures, as they are published, of the days that rows come to or leave. A day without any is no restatement.
CREATE TEMP TABLE published_day AS
SELECT
    retailer_id,
    business_date,
    currency,
    count(*) AS rows,
    sum(quantity) AS units,
    coalesce(sum(discount_amount), 0) AS discount_amount,
    sum(total_amount) AS net_amount,
    coalesce(sum(tax_amount), 0) AS tax_amount
FROM star.fact_sales
WHERE
    {within_months}
    AND (retailer_id, business_date, currency) IN (
        SELECT retailer_id, business_date, currency FROM pg_temp.staged_fact_sales
        UNION
        SELECT retailer_id, business_date, currency FROM pg_temp.replaced
    )
GROUP BY retailer_id, business_date, currency;

-- By how much each transaction changes those figures: what comes less what leaves.
CREATE TEMP TABLE restating AS
WITH line AS (
    SELECT
        retailer_id,
        business_date,
        currency,
        transaction_id,
        1 AS rows,
        quantity AS units,
        coalesce(discount_amount, 0) AS discount_amount,
        total_amount AS net_amount,
        coalesce(tax_amount, 0) AS tax_amount
    FROM pg_temp.staged_fact_sales
    UNION ALL
    SELECT
        retailer_id,
        business_date,
        currency,
        transaction_id,
        -1,
        -quantity,
        -coalesce(discount_amount, 0),
        -total_amount,
        -coalesce(tax_amount, 0)
    FROM pg_temp.replaced
)

SELECT
    line.retailer_id,
    line.business_date,
    line.currency,
    line.transaction_id,
    sum(line.rows) AS rows,
    sum(line.units) AS units,
    sum(line.discount_amount) AS discount_amount,
    sum(line.net_amount) AS net_amount,
    sum(line.tax_amount) AS tax_amount
FROM line
JOIN pg_temp.published_day USING (retailer_id, business_date, currency)
GROUP BY line.retailer_id, line.business_date, line.currency, line.transaction_id
HAVING
    sum(line.rows) <> 0
    OR sum(line.units) <> 0
    OR sum(line.discount_amount) <> 0
    OR sum(line.net_amount) <> 0
    OR sum(line.tax_amount) <> 0;
