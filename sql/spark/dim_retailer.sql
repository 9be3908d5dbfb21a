CREATE OR REPLACE TEMPORARY VIEW dim_retailer AS
SELECT * FROM delta.`:lake/star/dim_retailer`;
