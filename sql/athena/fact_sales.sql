-- Its columns are in the Delta log: none are declared here, and none can differ.
CREATE EXTERNAL TABLE IF NOT EXISTS fact_sales
LOCATION ':lake/star/fact_sales/'
TBLPROPERTIES ('table_type' = 'DELTA');
