-- The columns are in the Delta log: none are declared here, so none can differ.
CREATE EXTERNAL TABLE IF NOT EXISTS fact_sales
LOCATION ':lake/star/fact_sales/'
TBLPROPERTIES ('table_type' = 'DELTA');
