-- The star, the publish ledger and marts.freshness, as the main job brought them.
-- This file and the next three say IF NOT EXISTS, for there are databases from before migrations were recorded.

CREATE SCHEMA IF NOT EXISTS star;
CREATE SCHEMA IF NOT EXISTS marts;
CREATE SCHEMA IF NOT EXISTS ops;

CREATE TABLE IF NOT EXISTS star.dim_date (
    date_key integer PRIMARY KEY,
    calendar_date date UNIQUE,
    year integer,
    quarter integer,
    month integer,
    month_name text,
    day integer,
    day_of_week integer,
    day_name text,
    iso_year integer,
    iso_week integer,
    is_weekend boolean,
    retail_year integer,
    retail_quarter integer,
    retail_month integer,
    retail_week integer,
    retail_week_start date,
    retail_week_end date,
    changed_run_id text NOT NULL
);

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

CREATE TABLE IF NOT EXISTS star.dim_customer (
    customer_key bigint PRIMARY KEY,
    retailer_id text,
    customer_id text,
    changed_run_id text NOT NULL,
    UNIQUE (retailer_id, customer_id)
);

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

CREATE TABLE IF NOT EXISTS star.dim_retailer (
    retailer_key bigint PRIMARY KEY,
    retailer_id text UNIQUE,
    retailer_name text,
    service text,
    time_zone text,
    changed_run_id text NOT NULL
);

-- Partitions, one a month, are made as months arrive: see lib/retail/warehouse/partitions.py.
CREATE TABLE IF NOT EXISTS star.fact_sales (
    sales_key bigint NOT NULL,
    retailer_id text NOT NULL,
    transaction_id text NOT NULL,
    line_id text NOT NULL,
    record_type text NOT NULL,
    status text NOT NULL,
    date_key integer NOT NULL REFERENCES star.dim_date,
    product_key bigint NOT NULL REFERENCES star.dim_product,
    customer_key bigint NOT NULL REFERENCES star.dim_customer,
    store_key bigint NOT NULL REFERENCES star.dim_store,
    retailer_key bigint NOT NULL REFERENCES star.dim_retailer,
    business_date date NOT NULL,
    sold_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    quantity numeric(18, 3) NOT NULL,
    unit_price numeric(18, 4),
    discount_amount numeric(18, 4),
    tax_amount numeric(18, 4),
    total_amount numeric(18, 4) NOT NULL,
    currency text NOT NULL,
    source_ref text NOT NULL,
    changed_run_id text NOT NULL,
    PRIMARY KEY (sales_key, business_date)
) PARTITION BY RANGE (business_date);

-- A day of a retailer; a product, a customer, an order in all months.
CREATE INDEX IF NOT EXISTS fact_sales_day ON star.fact_sales (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS fact_sales_product ON star.fact_sales (product_key);
CREATE INDEX IF NOT EXISTS fact_sales_customer ON star.fact_sales (customer_key);
CREATE INDEX IF NOT EXISTS fact_sales_transaction ON star.fact_sales (transaction_id);

CREATE TABLE IF NOT EXISTS ops.publish (
    publish_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    tables jsonb NOT NULL,
    delta_versions jsonb NOT NULL
);

CREATE TABLE IF NOT EXISTS marts.freshness (
    view text PRIMARY KEY,
    refreshed_at timestamptz NOT NULL,
    run_id text,
    rows bigint NOT NULL
);
