CREATE TABLE IF NOT EXISTS star.dim_retailer (
    retailer_key bigint PRIMARY KEY,
    retailer_id text UNIQUE,
    retailer_name text,
    service text,
    time_zone text,
    changed_run_id text NOT NULL
);

COMMENT ON TABLE star.dim_retailer IS 'One row per retailer, as configured';
COMMENT ON COLUMN star.dim_retailer.retailer_key IS 'xxhash64 of retailer_id; -1 is the unknown retailer';
COMMENT ON COLUMN star.dim_retailer.retailer_id IS 'As in the configuration: retailer_1';
COMMENT ON COLUMN star.dim_retailer.retailer_name IS 'As in the configuration';
COMMENT ON COLUMN star.dim_retailer.service IS 'The API it is read from';
COMMENT ON COLUMN star.dim_retailer.time_zone IS 'IANA time zone of its business dates';
COMMENT ON COLUMN star.dim_retailer.changed_run_id IS 'The run that last changed the row';
