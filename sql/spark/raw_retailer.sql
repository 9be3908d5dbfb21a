-- One view for each retailer. All text, as landed: cast what you add up, CAST(total_amount AS decimal(18, 4)).
-- Spark finds the partitions only below one retailer's folder, and Sail supports no patterns in a path.
CREATE OR REPLACE TEMPORARY VIEW raw_:retailer AS
SELECT
    sale.*,
    ':retailer' AS retailer,
    lpad(CAST(year AS string), 4, '0') AS year,
    lpad(CAST(month AS string), 2, '0') AS month,
    lpad(CAST(day AS string), 2, '0') AS day
FROM (
    SELECT
        from_json(value, '
        retailer_id string, transaction_id string, line_id string, record_type string, status string,
        sold_at string, updated_at string, business_date string, product_id string,
        product_name string, brand string, category string, gtin string, customer_id string,
        store_id string, store_name string, store_city string, store_region string,
        store_country string, quantity string, unit_price string, discount_amount string,
        tax_amount string, total_amount string, currency string, mapping_version string,
        source_ref string
        ') AS sale,
        year,
        month,
        day
    FROM text.`:lake/raw/:retailer`
);
