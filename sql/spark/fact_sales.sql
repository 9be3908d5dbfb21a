CREATE OR REPLACE TEMPORARY VIEW fact_sales AS
SELECT * FROM delta.`:lake/star/fact_sales`;
