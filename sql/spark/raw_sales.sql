CREATE OR REPLACE TEMPORARY VIEW raw_sales AS
:raw_of_every_retailer;
