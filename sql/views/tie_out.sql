-- One row for each figure in which a view disagrees with the star; none if all agree.
WITH star AS (
    SELECT retailer_id, business_date, currency, count(*) AS rows, sum(total_amount) AS money
    FROM star.fact_sales
    GROUP BY retailer_id, business_date, currency
),

daily AS (
    SELECT
        'mv_daily_sales' AS view,
        retailer_id,
        business_date,
        currency,
        coalesce(shown.fact_rows, 0) AS view_rows,
        coalesce(star.rows, 0) AS star_rows,
        shown.net_amount AS view_money,
        star.money AS star_money
    FROM star
    FULL JOIN marts.mv_daily_sales AS shown USING (retailer_id, business_date, currency)
),

-- mv_customer_value excludes sales without a customer: they are added here, from the star.
amount AS (
    SELECT 'mv_monthly_sales' AS view, currency, net_amount AS money FROM marts.mv_monthly_sales
    UNION ALL
    SELECT 'mv_product_performance', currency, net_amount FROM marts.mv_product_performance
    UNION ALL
    SELECT 'mv_retailer_comparison', currency, net_amount FROM marts.mv_retailer_comparison
    UNION ALL
    SELECT 'mv_store_performance', currency, net_amount FROM marts.mv_store_performance
    UNION ALL
    SELECT 'mv_customer_value', currency, monetary FROM marts.mv_customer_value
    UNION ALL
    SELECT 'mv_customer_value', currency, total_amount FROM star.fact_sales WHERE customer_key = -1
),

shown AS (
    SELECT view, currency, sum(money) AS money FROM amount GROUP BY view, currency
),

expected AS (
    SELECT name.view, star.currency, sum(star.money) AS money
    FROM star
    CROSS JOIN (VALUES
        ('mv_monthly_sales'), ('mv_product_performance'), ('mv_retailer_comparison'),
        ('mv_store_performance'), ('mv_customer_value')) AS name (view)
    GROUP BY name.view, star.currency
)

SELECT view, retailer_id, business_date, currency, view_rows, star_rows, view_money, star_money
FROM daily
WHERE view_rows <> star_rows OR view_money IS DISTINCT FROM star_money
UNION ALL
SELECT view, NULL, NULL, currency, NULL, NULL, shown.money, expected.money
FROM expected
FULL JOIN shown USING (view, currency)
WHERE shown.money IS DISTINCT FROM expected.money
ORDER BY view, currency, retailer_id, business_date;
