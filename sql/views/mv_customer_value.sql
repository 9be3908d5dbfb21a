-- Scores are 5 - floor(5 * (rank - 1) / customers), best first: fifths of a retailer's customers in one currency. Tied
-- customers all get the best score of their places, so somebody always has 5. ntile would split ties at random, and so
-- change from refresh to refresh. Cancelled lines are no customer's, and move no score. A line that is dated after its own
-- last change, by more than zones explain, is no sale of that day yet: one such line would make every customer look silent.
CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_customer_value AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE customer_key <> -1 AND status = 'completed'
),

newest AS (
    SELECT max(business_date) AS as_of
    FROM star.fact_sales
    WHERE status = 'completed' AND business_date <= (updated_at AT TIME ZONE 'UTC')::date + 1
),

customer AS (
    SELECT
        retailer_id,
        customer_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS frequency,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        sum(total_amount) AS monetary,
        min(business_date) FILTER (WHERE is_sale) AS first_purchase,
        max(business_date) FILTER (WHERE is_sale) AS last_purchase
    FROM line
    GROUP BY retailer_id, customer_key, currency
),

scored AS (
    SELECT
        *,
        5 - 5 * (rank() OVER (fifths ORDER BY last_purchase DESC NULLS LAST) - 1) / count(*) OVER fifths AS recency_score,
        5 - 5 * (rank() OVER (fifths ORDER BY frequency DESC) - 1) / count(*) OVER fifths AS frequency_score,
        5 - 5 * (rank() OVER (fifths ORDER BY monetary DESC) - 1) / count(*) OVER fifths AS monetary_score
    FROM customer
    WINDOW fifths AS (PARTITION BY retailer_id, currency)
)

SELECT
    scored.retailer_id,
    scored.customer_key,
    scored.currency,
    dim_customer.customer_id,
    newest.as_of,
    CASE WHEN scored.last_purchase > newest.as_of THEN 0 ELSE newest.as_of - scored.last_purchase END AS recency_days,
    scored.frequency,
    scored.monetary,
    round(scored.sales_amount / nullif(scored.frequency, 0), 4) AS average_basket,
    scored.first_purchase,
    scored.last_purchase,
    scored.recency_score,
    scored.frequency_score,
    scored.monetary_score,
    concat(scored.recency_score, scored.frequency_score, scored.monetary_score) AS rfm
FROM scored
CROSS JOIN newest
LEFT JOIN star.dim_customer USING (customer_key);

CREATE UNIQUE INDEX IF NOT EXISTS mv_customer_value_key
ON marts.mv_customer_value (retailer_id, customer_key, currency);

COMMENT ON MATERIALIZED VIEW marts.mv_customer_value IS 'Recency, frequency and monetary value of each known customer; excludes sales without a customer';
COMMENT ON COLUMN marts.mv_customer_value.retailer_id IS 'As in the configuration: retailer_1';
COMMENT ON COLUMN marts.mv_customer_value.customer_key IS 'Key in star.dim_customer';
COMMENT ON COLUMN marts.mv_customer_value.currency IS 'ISO 4217; amounts in different currencies are never added';
COMMENT ON COLUMN marts.mv_customer_value.customer_id IS 'Pseudonym: HMAC-SHA256 of the retailer''s customer id';
COMMENT ON COLUMN marts.mv_customer_value.as_of IS 'Newest business day of a line that is not cancelled nor dated after its last change, of any retailer; recency is counted back from it';
COMMENT ON COLUMN marts.mv_customer_value.recency_days IS 'Days from last_purchase to as_of, at least 0; NULL without a purchase';
COMMENT ON COLUMN marts.mv_customer_value.frequency IS 'Transactions with at least one completed sale line';
COMMENT ON COLUMN marts.mv_customer_value.monetary IS 'Completed sales less returns and refunds';
COMMENT ON COLUMN marts.mv_customer_value.average_basket IS 'Completed sales per transaction; NULL without transactions';
COMMENT ON COLUMN marts.mv_customer_value.first_purchase IS 'First business day of a completed sale; NULL without one';
COMMENT ON COLUMN marts.mv_customer_value.last_purchase IS 'Last business day of a completed sale; NULL without one';
COMMENT ON COLUMN marts.mv_customer_value.recency_score IS '5 for the fifth of the retailer''s customers who bought most recently; ties all get the best score of their places';
COMMENT ON COLUMN marts.mv_customer_value.frequency_score IS '5 for the fifth who buy most often; ties as above';
COMMENT ON COLUMN marts.mv_customer_value.monetary_score IS '5 for the fifth with the highest monetary value; ties as above';
COMMENT ON COLUMN marts.mv_customer_value.rfm IS 'The three scores side by side: 555 is best';
