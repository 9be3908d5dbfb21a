-- The rows that the staged ones replace. Most are on the same day: OFFSET 0 makes the server look only into that
-- month's index, for each staged row.
CREATE TEMP TABLE replaced AS
SELECT
    known.*,
    false AS moved
FROM (SELECT sales_key, business_date FROM {staged} WHERE {within_months}) AS staged
CROSS JOIN LATERAL (
    SELECT
        sales_key,
        retailer_id,
        business_date,
        currency,
        transaction_id,
        quantity,
        discount_amount,
        total_amount,
        tax_amount
    FROM star.fact_sales AS there
    WHERE there.sales_key = staged.sales_key AND there.business_date = staged.business_date
    OFFSET 0
) AS known;

CREATE TEMP TABLE elsewhere AS
SELECT sales_key FROM {staged}
EXCEPT
SELECT sales_key FROM pg_temp.replaced;

ANALYZE pg_temp.elsewhere;

-- `moved`: on another day than the staged row.
INSERT INTO pg_temp.replaced
SELECT
    sales_key,
    retailer_id,
    business_date,
    currency,
    transaction_id,
    quantity,
    discount_amount,
    total_amount,
    tax_amount,
    true AS moved
FROM star.fact_sales
WHERE {within_months} AND sales_key IN (SELECT sales_key FROM pg_temp.elsewhere);

DROP TABLE pg_temp.elsewhere;

ANALYZE pg_temp.replaced;
