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
        from_json(value, ':fields') AS sale,
        year,
        month,
        day
    FROM text.`:lake/raw/:retailer`
);
