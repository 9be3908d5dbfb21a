-- The columns are in the Delta log: none are declared here, so none can differ.
CREATE EXTERNAL TABLE IF NOT EXISTS dim_store
LOCATION ':lake/star/dim_store/'
TBLPROPERTIES ('table_type' = 'DELTA');
