CREATE OR REPLACE TEMPORARY VIEW dim_customer AS
SELECT * FROM delta.`:lake/star/dim_customer`;
