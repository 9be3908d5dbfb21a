CREATE OR REPLACE TEMPORARY VIEW dim_date AS
SELECT * FROM delta.`:lake/star/dim_date`;
