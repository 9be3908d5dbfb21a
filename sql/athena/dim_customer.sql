-- The columns are in the Delta log: none are declared here, so none can differ.
CREATE EXTERNAL TABLE IF NOT EXISTS dim_customer
LOCATION ':lake/star/dim_customer/'
TBLPROPERTIES ('table_type' = 'DELTA');
