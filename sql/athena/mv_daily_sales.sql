-- In these types a quotient has at least 14 decimal places, so that it is rounded only once: under the old rules of Trino it has
-- as many as its finer operand, under the new ones as many as fit into 38 digits.
CREATE OR REPLACE VIEW mv_daily_sales AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM fact_sales
),

per_day AS (
    SELECT
        retailer_id,
        business_date,
        currency,
        count(*) AS fact_rows,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        count(*) FILTER (WHERE is_sale) AS lines,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(discount_amount) FILTER (WHERE is_sale), 0) AS discount_amount,
        coalesce(sum(tax_amount) FILTER (WHERE is_sale), 0) AS tax_amount,
        coalesce(sum(quantity) FILTER (WHERE is_return), 0) AS returned_units,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, business_date, currency
)

SELECT
    per_day.retailer_id,
    dim_retailer.retailer_name,
    per_day.business_date,
    per_day.currency,
    per_day.fact_rows,
    per_day.transactions,
    per_day.lines,
    per_day.units,
    per_day.sales_amount + per_day.discount_amount AS gross_amount,
    per_day.discount_amount,
    per_day.sales_amount,
    per_day.returned_units,
    per_day.returns_amount,
    per_day.net_amount,
    per_day.tax_amount,
    CAST(
        round(CAST(per_day.sales_amount AS decimal(32, 14)) / nullif(per_day.transactions, 0), 4) AS decimal(38, 4)
    ) AS average_basket
FROM per_day
LEFT JOIN dim_retailer ON dim_retailer.retailer_id = per_day.retailer_id;
