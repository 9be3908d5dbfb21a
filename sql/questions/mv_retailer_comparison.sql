-- Question shares
-- What share of the net sales in its currency did each retailer have in the newest complete month, and did its sales grow?
SELECT
    currency,
    retailer_name,
    net_amount,
    share_percent,
    growth_percent
FROM marts.mv_retailer_comparison
WHERE
    month_start = (
        -- the month before the month of the day after the newest
        SELECT date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month'
        FROM marts.mv_daily_sales
    )
ORDER BY currency, net_amount DESC, retailer_id;

-- From the star
WITH newest AS (
    SELECT (date_trunc('month', (max(business_date) + 1)::timestamp) - interval '1 month')::date AS month_start
    FROM star.fact_sales
),

amount AS (
    SELECT
        fact.retailer_key,
        fact.currency,
        sum(fact.total_amount) FILTER (WHERE fact.business_date >= newest.month_start) AS net_amount,
        sum(fact.total_amount) FILTER (WHERE fact.business_date < newest.month_start) AS previous_net_amount
    FROM star.fact_sales AS fact
    CROSS JOIN newest
    WHERE
        fact.business_date >= (SELECT (month_start - interval '1 month')::date FROM newest)
        AND fact.business_date < (SELECT (month_start + interval '1 month')::date FROM newest)
    GROUP BY fact.retailer_key, fact.currency
),

shared AS (
    SELECT
        *,
        sum(net_amount) OVER (PARTITION BY currency) AS market_amount
    FROM amount
    WHERE net_amount IS NOT NULL
)

SELECT
    shared.currency,
    dim_retailer.retailer_name,
    shared.net_amount,
    CASE WHEN shared.market_amount > 0 THEN round(100 * shared.net_amount / shared.market_amount, 2) END AS share_percent,
    CASE
        WHEN shared.previous_net_amount > 0
            THEN round(100 * (shared.net_amount - shared.previous_net_amount) / shared.previous_net_amount, 2)
    END AS growth_percent
FROM shared
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY shared.currency, shared.net_amount DESC, dim_retailer.retailer_id;

-- Question shares_over_time
-- How has each retailer's share of the net sales in its currency changed from month to month, in percentage points?
SELECT
    month_start,
    currency,
    retailer_name,
    share_percent,
    share_percent - lag(share_percent) OVER (PARTITION BY currency, retailer_id ORDER BY month_start) AS points
FROM marts.mv_retailer_comparison
ORDER BY month_start, currency, retailer_id;

-- From the star
WITH month AS (
    SELECT
        date_trunc('month', business_date::timestamp)::date AS month_start,
        currency,
        retailer_key,
        sum(total_amount) AS net_amount
    FROM star.fact_sales
    GROUP BY month_start, currency, retailer_key
),

market AS (
    SELECT
        *,
        sum(net_amount) OVER (PARTITION BY month_start, currency) AS market_amount
    FROM month
),

shared AS (
    SELECT
        *,
        CASE WHEN market_amount > 0 THEN round(100 * net_amount / market_amount, 2) END AS share_percent
    FROM market
)

SELECT
    shared.month_start,
    shared.currency,
    dim_retailer.retailer_name,
    shared.share_percent,
    shared.share_percent
    - lag(shared.share_percent) OVER (PARTITION BY shared.currency, shared.retailer_key ORDER BY shared.month_start) AS points
FROM shared
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY shared.month_start, shared.currency, dim_retailer.retailer_id;

-- Question baskets
-- Which retailer had the largest average basket (sales after discount) in each month, with how many known customers and stores?
SELECT DISTINCT ON (month_start, currency)
    month_start,
    currency,
    retailer_name,
    average_basket,
    transactions,
    active_customers,
    active_stores
FROM marts.mv_retailer_comparison
ORDER BY month_start, currency, average_basket DESC NULLS LAST, retailer_id;

-- From the star
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
),

month AS (
    SELECT
        date_trunc('month', business_date::timestamp)::date AS month_start,
        currency,
        retailer_key,
        round(
            coalesce(sum(total_amount) FILTER (WHERE is_sale), 0)
            / nullif(count(DISTINCT transaction_id) FILTER (WHERE is_sale), 0), 4
        ) AS average_basket,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS active_customers,
        count(DISTINCT store_key) FILTER (WHERE is_sale AND store_key <> -1) AS active_stores
    FROM line
    GROUP BY month_start, currency, retailer_key
)

SELECT DISTINCT ON (month.month_start, month.currency)
    month.month_start,
    month.currency,
    dim_retailer.retailer_name,
    month.average_basket,
    month.transactions,
    month.active_customers,
    month.active_stores
FROM month
INNER JOIN star.dim_retailer USING (retailer_key)
ORDER BY month.month_start, month.currency, month.average_basket DESC NULLS LAST, dim_retailer.retailer_id;
