CREATE TABLE IF NOT EXISTS star.dim_store (
    store_key bigint PRIMARY KEY,
    retailer_id text,
    store_id text,
    store_name text,
    store_city text,
    store_region text,
    store_country text,
    changed_run_id text NOT NULL,
    UNIQUE (retailer_id, store_id)
);

COMMENT ON TABLE star.dim_store IS 'One row per store, fulfilment node or marketplace of a retailer';
COMMENT ON COLUMN star.dim_store.store_key IS 'xxhash64 of retailer_id and store_id; -1 is the unknown store';
COMMENT ON COLUMN star.dim_store.retailer_id IS 'The store''s retailer';
COMMENT ON COLUMN star.dim_store.store_id IS 'The retailer''s own id of a store, fulfilment node or marketplace';
COMMENT ON COLUMN star.dim_store.store_name IS 'As the retailer writes it';
COMMENT ON COLUMN star.dim_store.store_city IS 'NULL if the retailer does not provide it';
COMMENT ON COLUMN star.dim_store.store_region IS 'State or province, as the retailer writes it';
COMMENT ON COLUMN star.dim_store.store_country IS 'ISO 3166 code, as the retailer writes it';
COMMENT ON COLUMN star.dim_store.changed_run_id IS 'The run that last changed the row';
