-- The columns are in the Delta log: none are declared here, so none can differ.
CREATE EXTERNAL TABLE IF NOT EXISTS dim_retailer
LOCATION ':lake/star/dim_retailer/'
TBLPROPERTIES ('table_type' = 'DELTA');
