-- Rows added, and rows removed; of a whole publish, only on days whose published figures it changes.
CREATE TEMP VIEW line AS
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
FROM {staged}
WHERE {of_days}
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
WHERE {of_days};

CREATE TEMP TABLE day_change AS
SELECT
    retailer_id,
    business_date,
    currency,
    sum(rows) AS rows,
    sum(units) AS units,
    sum(discount_amount) AS discount_amount,
    sum(net_amount) AS net_amount,
    sum(tax_amount) AS tax_amount
FROM pg_temp.line
GROUP BY retailer_id, business_date, currency;

ANALYZE pg_temp.day_change;

-- Days whose sums are not kept yet. With the array the server reads no other day's rows.
WITH missing AS MATERIALIZED (
    SELECT retailer_id, business_date, currency
    FROM pg_temp.day_change
    WHERE NOT EXISTS (
        SELECT FROM ops.published_day AS kept
        WHERE
            kept.retailer_id = day_change.retailer_id
            AND kept.business_date = day_change.business_date
            AND kept.currency = day_change.currency
    )
)

INSERT INTO ops.published_day (retailer_id, business_date, currency, rows, units, discount_amount, net_amount, tax_amount)
SELECT
    retailer_id,
    business_date,
    currency,
    count(*),
    sum(quantity),
    coalesce(sum(discount_amount), 0),
    sum(total_amount),
    coalesce(sum(tax_amount), 0)
FROM star.fact_sales
WHERE
    business_date = ANY(ARRAY(SELECT DISTINCT business_date FROM missing))
    AND (retailer_id, business_date, currency) IN (SELECT retailer_id, business_date, currency FROM missing)
GROUP BY retailer_id, business_date, currency;

-- The published figures of the days that gain or lose rows. A day without published figures is not restated.
CREATE TEMP TABLE published_day AS
SELECT
    kept.retailer_id,
    kept.business_date,
    kept.currency,
    kept.rows,
    kept.units,
    kept.discount_amount,
    kept.net_amount,
    kept.tax_amount
FROM ops.published_day AS kept
JOIN pg_temp.day_change USING (retailer_id, business_date, currency);

ANALYZE pg_temp.published_day;

-- The change that each transaction makes to those figures.
CREATE TEMP TABLE restating AS
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
FROM pg_temp.line
JOIN pg_temp.published_day USING (retailer_id, business_date, currency)
GROUP BY line.retailer_id, line.business_date, line.currency, line.transaction_id
HAVING
    sum(line.rows) <> 0
    OR sum(line.units) <> 0
    OR sum(line.discount_amount) <> 0
    OR sum(line.net_amount) <> 0
    OR sum(line.tax_amount) <> 0;

-- The new sums. An emptied day stays, with zeros: rows that are added to it later restate it.
INSERT INTO ops.published_day AS kept (
    retailer_id, business_date, currency, rows, units, discount_amount, net_amount, tax_amount
)
SELECT
    retailer_id,
    business_date,
    currency,
    rows,
    units,
    discount_amount,
    net_amount,
    tax_amount
FROM pg_temp.day_change
ON CONFLICT (retailer_id, business_date, currency) DO UPDATE
SET
    rows = kept.rows + excluded.rows,
    units = kept.units + excluded.units,
    discount_amount = kept.discount_amount + excluded.discount_amount,
    net_amount = kept.net_amount + excluded.net_amount,
    tax_amount = kept.tax_amount + excluded.tax_amount
WHERE
    (excluded.rows, excluded.units, excluded.discount_amount, excluded.net_amount, excluded.tax_amount)
    IS DISTINCT FROM (0, 0, 0, 0, 0);
