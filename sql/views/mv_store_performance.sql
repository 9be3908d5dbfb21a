CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_store_performance AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM star.fact_sales
),

store AS (
    SELECT
        retailer_id,
        store_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS customers,
        min(business_date) FILTER (WHERE is_sale) AS first_sale,
        max(business_date) FILTER (WHERE is_sale) AS last_sale
    FROM line
    GROUP BY retailer_id, store_key, currency
)

SELECT
    store.retailer_id,
    store.store_key,
    store.currency,
    dim_store.store_id,
    dim_store.store_name,
    dim_store.store_city,
    dim_store.store_region,
    dim_store.store_country,
    store.transactions,
    store.units,
    store.sales_amount,
    store.returns_amount,
    store.net_amount,
    round(store.sales_amount / nullif(store.transactions, 0), 4) AS average_basket,
    store.customers,
    CASE
        WHEN store.store_key <> -1
            THEN rank() OVER (
                PARTITION BY store.retailer_id, store.currency, store.store_key = -1
                ORDER BY store.net_amount DESC
            )
    END AS net_rank,
    store.first_sale,
    store.last_sale
FROM store
LEFT JOIN star.dim_store USING (store_key);

CREATE UNIQUE INDEX IF NOT EXISTS mv_store_performance_key
ON marts.mv_store_performance (retailer_id, store_key, currency);

COMMENT ON MATERIALIZED VIEW marts.mv_store_performance IS 'Sales and returns per store, fulfilment node or marketplace, over all time';
COMMENT ON COLUMN marts.mv_store_performance.retailer_id IS 'As in the configuration: retailer_1';
COMMENT ON COLUMN marts.mv_store_performance.currency IS 'ISO 4217; amounts in different currencies are never added';
COMMENT ON COLUMN marts.mv_store_performance.store_id IS 'The retailer''s own id';
COMMENT ON COLUMN marts.mv_store_performance.store_name IS 'As the retailer writes it';
COMMENT ON COLUMN marts.mv_store_performance.store_city IS 'NULL if the retailer does not provide it';
COMMENT ON COLUMN marts.mv_store_performance.store_region IS 'As the retailer writes it';
COMMENT ON COLUMN marts.mv_store_performance.store_country IS 'As the retailer writes it';
COMMENT ON COLUMN marts.mv_store_performance.store_key IS '-1 for sales with an unknown store';
COMMENT ON COLUMN marts.mv_store_performance.transactions IS 'Transactions with at least one completed sale line';
COMMENT ON COLUMN marts.mv_store_performance.units IS 'Quantity of completed sale lines';
COMMENT ON COLUMN marts.mv_store_performance.sales_amount IS 'Completed sales after discount, without tax';
COMMENT ON COLUMN marts.mv_store_performance.returns_amount IS 'Returns and refunds, negative';
COMMENT ON COLUMN marts.mv_store_performance.net_amount IS 'sales_amount + returns_amount';
COMMENT ON COLUMN marts.mv_store_performance.average_basket IS 'sales_amount per transaction; NULL without transactions';
COMMENT ON COLUMN marts.mv_store_performance.customers IS 'Known customers with a completed sale';
COMMENT ON COLUMN marts.mv_store_performance.net_rank IS 'Rank by net_amount within retailer and currency, 1 is best, ties share a rank; NULL for unknown';
COMMENT ON COLUMN marts.mv_store_performance.first_sale IS 'First business day of a completed sale; NULL without one';
COMMENT ON COLUMN marts.mv_store_performance.last_sale IS 'Last business day of a completed sale; NULL without one';
