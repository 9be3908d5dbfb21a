CREATE OR REPLACE TEMPORARY VIEW dim_product AS
SELECT * FROM delta.`:lake/star/dim_product`;
