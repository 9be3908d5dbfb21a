-- The days whose published figures are those of the whole fact: whatever the star holds of them now, nothing that was
-- published changes. Of the others, kept sums that differ from the star go: it was changed by hand.
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
),

wrong AS (
    SELECT
        kept.retailer_id,
        kept.business_date,
        kept.currency
    FROM ops.published_day AS kept
    LEFT JOIN shown USING (retailer_id, business_date, currency)
    WHERE
        {of_days}
        AND (kept.rows, kept.units, kept.net_amount)
        IS DISTINCT FROM (coalesce(shown.rows, 0), coalesce(shown.units, 0), coalesce(shown.net_amount, 0))
)

DELETE FROM ops.published_day AS kept
USING wrong
WHERE
    kept.retailer_id = wrong.retailer_id
    AND kept.business_date = wrong.business_date
    AND kept.currency = wrong.currency;

DROP TABLE pg_temp.sent_day;
