CREATE SCHEMA IF NOT EXISTS star;
CREATE SCHEMA IF NOT EXISTS marts;
CREATE SCHEMA IF NOT EXISTS ops;

COMMENT ON SCHEMA star IS 'The star schema of the lake as of the last publish: five dimensions and fact_sales';
COMMENT ON SCHEMA marts IS 'Materialized views over star for BI; checked data only';
COMMENT ON SCHEMA ops IS 'Which runs were published; for operators, not for BI';
