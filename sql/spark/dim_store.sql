CREATE OR REPLACE TEMPORARY VIEW dim_store AS
SELECT * FROM delta.`:lake/star/dim_store`;
