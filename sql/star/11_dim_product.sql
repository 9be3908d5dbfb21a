CREATE TABLE IF NOT EXISTS star.dim_product (
    product_key bigint PRIMARY KEY,
    retailer_id text,
    product_id text,
    product_name text,
    brand text,
    category text,
    gtin text,
    changed_run_id text NOT NULL,
    UNIQUE (retailer_id, product_id)
);

COMMENT ON TABLE star.dim_product IS 'One row per product of a retailer, as described by its catalogue or, failing that, by its newest sale';
COMMENT ON COLUMN star.dim_product.product_key IS 'xxhash64 of retailer_id and product_id; -1 is the unknown product';
COMMENT ON COLUMN star.dim_product.retailer_id IS 'The product''s retailer; the SKU alone is not a key';
COMMENT ON COLUMN star.dim_product.product_id IS 'The retailer''s own SKU; always text';
COMMENT ON COLUMN star.dim_product.product_name IS 'As the retailer writes it';
COMMENT ON COLUMN star.dim_product.brand IS 'NULL if neither catalogue nor sale has one';
COMMENT ON COLUMN star.dim_product.category IS 'The retailer''s own category; there is no common scheme';
COMMENT ON COLUMN star.dim_product.gtin IS 'Global Trade Item Number: identifies the same article at several retailers';
COMMENT ON COLUMN star.dim_product.changed_run_id IS 'The run that last changed the row';
