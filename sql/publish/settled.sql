-- The days that are not restated by the rows that change. Of some, the published figures are those of the whole fact:
-- whatever the star holds of them now, nothing that was published changes. Of others, the star does not hold what was
-- published: it was changed by hand, and they are restated from what was published to what is sent. Which transactions did
-- it, nobody knows any more.
CREATE TEMP TABLE sent_day AS
SELECT
    retailer_id,
    business_date,
    currency,
    count(*) AS rows,
    sum(quantity) AS units,
    coalesce(sum(discount_amount), 0) AS discount_amount,
    sum(total_amount) AS net_amount,
    coalesce(sum(tax_amount), 0) AS tax_amount
FROM {staged}
GROUP BY retailer_id, business_date, currency;

CREATE TEMP TABLE settled AS
SELECT
    kept.retailer_id,
    kept.business_date,
    kept.currency
FROM ops.published_day AS kept
LEFT JOIN pg_temp.sent_day AS sent USING (retailer_id, business_date, currency)
WHERE
    (kept.rows, kept.units, kept.discount_amount, kept.net_amount, kept.tax_amount)
    = (
        coalesce(sent.rows, 0),
        coalesce(sent.units, 0),
        coalesce(sent.discount_amount, 0),
        coalesce(sent.net_amount, 0),
        coalesce(sent.tax_amount, 0)
    );

ANALYZE pg_temp.settled;

CREATE TEMP TABLE astray AS
WITH shown AS (
    SELECT
        retailer_id,
        business_date,
        currency,
        count(*) AS rows,
        sum(quantity) AS units,
        sum(total_amount) AS net_amount
    FROM star.fact_sales
    GROUP BY retailer_id, business_date, currency
)

SELECT
    kept.retailer_id,
    kept.business_date,
    kept.currency,
    coalesce(sent.rows, 0) AS rows,
    coalesce(sent.units, 0) AS units,
    coalesce(sent.discount_amount, 0) AS discount_amount,
    coalesce(sent.net_amount, 0) AS net_amount,
    coalesce(sent.tax_amount, 0) AS tax_amount
FROM ops.published_day AS kept
LEFT JOIN shown USING (retailer_id, business_date, currency)
LEFT JOIN pg_temp.sent_day AS sent USING (retailer_id, business_date, currency)
WHERE
    {of_days}
    AND (kept.rows, kept.units, kept.net_amount)
    IS DISTINCT FROM (coalesce(shown.rows, 0), coalesce(shown.units, 0), coalesce(shown.net_amount, 0));

INSERT INTO marts.restatement (run_id, retailer_id, business_date, currency, figure, before, after, transactions)
SELECT
    {run_id},
    kept.retailer_id,
    kept.business_date,
    kept.currency,
    each.figure,
    each.before,
    each.after,
    0
FROM ops.published_day AS kept
JOIN pg_temp.astray AS sent USING (retailer_id, business_date, currency)
CROSS JOIN LATERAL (
    VALUES
    ('rows', kept.rows, sent.rows),
    ('units', kept.units, sent.units),
    ('discount_amount', kept.discount_amount, sent.discount_amount),
    ('net_amount', kept.net_amount, sent.net_amount),
    ('tax_amount', kept.tax_amount, sent.tax_amount)
) AS each (figure, before, after)
WHERE each.before <> each.after
ON CONFLICT (run_id, retailer_id, business_date, currency, figure) DO UPDATE
SET after = excluded.after, restated_at = now();

UPDATE ops.published_day AS kept
SET
    rows = sent.rows,
    units = sent.units,
    discount_amount = sent.discount_amount,
    net_amount = sent.net_amount,
    tax_amount = sent.tax_amount
FROM pg_temp.astray AS sent
WHERE
    kept.retailer_id = sent.retailer_id
    AND kept.business_date = sent.business_date
    AND kept.currency = sent.currency;

INSERT INTO pg_temp.settled
SELECT
    retailer_id,
    business_date,
    currency
FROM pg_temp.astray;

DROP TABLE pg_temp.sent_day;
