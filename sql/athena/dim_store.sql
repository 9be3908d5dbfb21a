-- Its columns are in the Delta log: none are declared here, and none can differ.
CREATE EXTERNAL TABLE IF NOT EXISTS dim_store
LOCATION ':lake/star/dim_store/'
TBLPROPERTIES ('table_type' = 'DELTA');
