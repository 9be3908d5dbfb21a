-- In these types a quotient has at least 14 decimal places, so that it is rounded only once: under the old rules of Trino it has
-- as many as its finer operand, under the new ones as many as fit into 38 digits.
CREATE OR REPLACE VIEW mv_monthly_sales AS
WITH line AS (
    SELECT
        *,
        CAST(date_trunc('month', business_date) AS date) AS month_start,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AND status = 'completed' AS is_return
    FROM fact_sales
),

per_month AS (
    SELECT
        retailer_id,
        month_start,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, month_start, currency
)

SELECT
    this.retailer_id,
    dim_retailer.retailer_name,
    this.month_start,
    this.currency,
    this.transactions,
    this.units,
    this.sales_amount,
    this.returns_amount,
    this.net_amount,
    previous.net_amount AS previous_net_amount,
    this.net_amount - previous.net_amount AS growth_amount,
    CASE
        WHEN previous.net_amount > 0
            THEN CAST(round(
                CAST(100 * (this.net_amount - previous.net_amount) AS decimal(32, 14))
                / CAST(previous.net_amount AS decimal(20, 4)), 2
            ) AS decimal(38, 2))
    END AS growth_percent
FROM per_month AS this
LEFT JOIN per_month AS previous
    ON
        previous.retailer_id = this.retailer_id
        AND previous.currency = this.currency
        AND previous.month_start = date_add('month', -1, this.month_start)
LEFT JOIN dim_retailer ON dim_retailer.retailer_id = this.retailer_id;
