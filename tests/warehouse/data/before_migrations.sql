-- What a database got before there were migrations: sql/star, sql/views and sql/roles.sql of then, less comments.

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

CREATE TABLE IF NOT EXISTS marts.restatement (
    run_id text NOT NULL,
    retailer_id text NOT NULL,
    business_date date NOT NULL,
    currency text NOT NULL,
    figure text NOT NULL,
    before numeric NOT NULL,
    after numeric NOT NULL,
    transactions bigint NOT NULL,
    restated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, retailer_id, business_date, currency, figure)
);

CREATE TABLE IF NOT EXISTS marts.restated_transaction (
    run_id text NOT NULL,
    retailer_id text NOT NULL,
    business_date date NOT NULL,
    currency text NOT NULL,
    transaction_id text NOT NULL,
    rows bigint NOT NULL,
    units numeric NOT NULL,
    discount_amount numeric NOT NULL,
    net_amount numeric NOT NULL,
    tax_amount numeric NOT NULL,
    PRIMARY KEY (run_id, retailer_id, business_date, currency, transaction_id)
);

CREATE INDEX IF NOT EXISTS restatement_day ON marts.restatement (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS restated_transaction_named ON marts.restated_transaction (transaction_id, retailer_id);

CREATE TABLE IF NOT EXISTS marts.tie_out (
    run_id text NOT NULL,
    hop text NOT NULL,
    reason text,
    retailer_id text NOT NULL,
    business_date date,
    currency text,
    rows bigint NOT NULL,
    money numeric NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS tie_out_day ON marts.tie_out (business_date, retailer_id);
CREATE INDEX IF NOT EXISTS tie_out_run ON marts.tie_out (run_id);

CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_customer_value AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
    WHERE customer_key <> -1
),

newest AS (
    SELECT max(business_date) AS as_of FROM star.fact_sales
),

customer AS (
    SELECT
        retailer_id,
        customer_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS frequency,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        sum(total_amount) AS monetary,
        min(business_date) FILTER (WHERE is_sale) AS first_purchase,
        max(business_date) FILTER (WHERE is_sale) AS last_purchase
    FROM line
    GROUP BY retailer_id, customer_key, currency
),

scored AS (
    SELECT
        *,
        1 + 5 * (rank() OVER (fifths ORDER BY last_purchase ASC NULLS FIRST) - 1) / count(*) OVER fifths AS recency_score,
        1 + 5 * (rank() OVER (fifths ORDER BY frequency ASC) - 1) / count(*) OVER fifths AS frequency_score,
        1 + 5 * (rank() OVER (fifths ORDER BY monetary ASC) - 1) / count(*) OVER fifths AS monetary_score
    FROM customer
    WINDOW fifths AS (PARTITION BY retailer_id, currency)
)

SELECT
    scored.retailer_id,
    scored.customer_key,
    scored.currency,
    dim_customer.customer_id,
    newest.as_of,
    newest.as_of - scored.last_purchase AS recency_days,
    scored.frequency,
    scored.monetary,
    round(scored.sales_amount / nullif(scored.frequency, 0), 4) AS average_basket,
    scored.first_purchase,
    scored.last_purchase,
    scored.recency_score,
    scored.frequency_score,
    scored.monetary_score,
    concat(scored.recency_score, scored.frequency_score, scored.monetary_score) AS rfm
FROM scored
CROSS JOIN newest
LEFT JOIN star.dim_customer USING (customer_key);

CREATE UNIQUE INDEX IF NOT EXISTS mv_customer_value_key
ON marts.mv_customer_value (retailer_id, customer_key, currency);

CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_daily_sales AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AS is_return
    FROM star.fact_sales
),

day AS (
    SELECT
        retailer_id,
        business_date,
        currency,
        count(*) AS fact_rows,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        count(*) FILTER (WHERE is_sale) AS lines,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(discount_amount) FILTER (WHERE is_sale), 0) AS discount_amount,
        coalesce(sum(tax_amount) FILTER (WHERE is_sale), 0) AS tax_amount,
        coalesce(sum(quantity) FILTER (WHERE is_return), 0) AS returned_units,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, business_date, currency
)

SELECT
    day.retailer_id,
    dim_retailer.retailer_name,
    day.business_date,
    day.currency,
    day.fact_rows,
    day.transactions,
    day.lines,
    day.units,
    day.sales_amount + day.discount_amount AS gross_amount,
    day.discount_amount,
    day.sales_amount,
    day.returned_units,
    day.returns_amount,
    day.net_amount,
    day.tax_amount,
    round(day.sales_amount / nullif(day.transactions, 0), 4) AS average_basket
FROM day
LEFT JOIN star.dim_retailer USING (retailer_id);

CREATE UNIQUE INDEX IF NOT EXISTS mv_daily_sales_key
ON marts.mv_daily_sales (retailer_id, business_date, currency);

CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_monthly_sales AS
WITH line AS (
    SELECT
        *,
        date_trunc('month', business_date::timestamp)::date AS month_start,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AS is_return
    FROM star.fact_sales
),

month AS (
    SELECT
        retailer_id,
        month_start,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount
    FROM line
    GROUP BY retailer_id, month_start, currency
)

SELECT
    this.retailer_id,
    dim_retailer.retailer_name,
    this.month_start,
    this.currency,
    this.transactions,
    this.units,
    this.sales_amount,
    this.returns_amount,
    this.net_amount,
    previous.net_amount AS previous_net_amount,
    this.net_amount - previous.net_amount AS growth_amount,
    CASE
        WHEN previous.net_amount > 0
            THEN round(100 * (this.net_amount - previous.net_amount) / previous.net_amount, 2)
    END AS growth_percent
FROM month AS this
LEFT JOIN month AS previous
    ON
        previous.retailer_id = this.retailer_id
        AND previous.currency = this.currency
        AND previous.month_start = (this.month_start - interval '1 month')::date
LEFT JOIN star.dim_retailer ON dim_retailer.retailer_id = this.retailer_id;

CREATE UNIQUE INDEX IF NOT EXISTS mv_monthly_sales_key
ON marts.mv_monthly_sales (retailer_id, month_start, currency);

CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_product_performance AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AS is_return
    FROM star.fact_sales
),

product AS (
    SELECT
        retailer_id,
        product_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        count(*) FILTER (WHERE is_return) AS returns,
        coalesce(sum(quantity) FILTER (WHERE is_return), 0) AS returned_units,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount,
        min(business_date) FILTER (WHERE is_sale) AS first_sold,
        max(business_date) FILTER (WHERE is_sale) AS last_sold
    FROM line
    GROUP BY retailer_id, product_key, currency
)

SELECT
    product.retailer_id,
    product.product_key,
    product.currency,
    dim_product.product_id,
    dim_product.product_name,
    dim_product.brand,
    dim_product.category,
    dim_product.gtin,
    product.transactions,
    product.units,
    product.sales_amount,
    product.returns,
    product.returned_units,
    product.returns_amount,
    product.net_amount,
    CASE
        WHEN product.product_key <> -1
            THEN rank() OVER (
                PARTITION BY product.retailer_id, product.currency, product.product_key = -1
                ORDER BY product.net_amount DESC
            )
    END AS net_rank,
    product.first_sold,
    product.last_sold
FROM product
LEFT JOIN star.dim_product USING (product_key);

CREATE UNIQUE INDEX IF NOT EXISTS mv_product_performance_key
ON marts.mv_product_performance (retailer_id, product_key, currency);

CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_retailer_comparison AS
WITH line AS (
    SELECT
        *,
        date_trunc('month', business_date::timestamp)::date AS month_start,
        record_type = 'sale' AND status = 'completed' AS is_sale
    FROM star.fact_sales
),

month AS (
    SELECT
        month_start,
        retailer_id,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        sum(total_amount) AS net_amount,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS active_customers,
        count(DISTINCT store_key) FILTER (WHERE is_sale AND store_key <> -1) AS active_stores
    FROM line
    GROUP BY month_start, retailer_id, currency
),

market AS (
    SELECT
        month_start,
        currency,
        sum(net_amount) AS net_amount
    FROM month
    GROUP BY month_start, currency
)

SELECT
    this.month_start,
    this.retailer_id,
    dim_retailer.retailer_name,
    this.currency,
    this.transactions,
    this.sales_amount,
    this.net_amount,
    CASE
        WHEN market.net_amount > 0 THEN round(100 * this.net_amount / market.net_amount, 2)
    END AS share_percent,
    this.net_amount - previous.net_amount AS growth_amount,
    CASE
        WHEN previous.net_amount > 0
            THEN round(100 * (this.net_amount - previous.net_amount) / previous.net_amount, 2)
    END AS growth_percent,
    round(this.sales_amount / nullif(this.transactions, 0), 4) AS average_basket,
    this.active_customers,
    this.active_stores
FROM month AS this
INNER JOIN market
    ON market.month_start = this.month_start AND market.currency = this.currency
LEFT JOIN month AS previous
    ON
        previous.retailer_id = this.retailer_id
        AND previous.currency = this.currency
        AND previous.month_start = (this.month_start - interval '1 month')::date
LEFT JOIN star.dim_retailer ON dim_retailer.retailer_id = this.retailer_id;

CREATE UNIQUE INDEX IF NOT EXISTS mv_retailer_comparison_key
ON marts.mv_retailer_comparison (month_start, retailer_id, currency);

CREATE MATERIALIZED VIEW IF NOT EXISTS marts.mv_store_performance AS
WITH line AS (
    SELECT
        *,
        record_type = 'sale' AND status = 'completed' AS is_sale,
        record_type IN ('return', 'refund') AS is_return
    FROM star.fact_sales
),

store AS (
    SELECT
        retailer_id,
        store_key,
        currency,
        count(DISTINCT transaction_id) FILTER (WHERE is_sale) AS transactions,
        coalesce(sum(quantity) FILTER (WHERE is_sale), 0) AS units,
        coalesce(sum(total_amount) FILTER (WHERE is_sale), 0) AS sales_amount,
        coalesce(sum(total_amount) FILTER (WHERE is_return), 0) AS returns_amount,
        sum(total_amount) AS net_amount,
        count(DISTINCT customer_key) FILTER (WHERE is_sale AND customer_key <> -1) AS customers,
        min(business_date) FILTER (WHERE is_sale) AS first_sale,
        max(business_date) FILTER (WHERE is_sale) AS last_sale
    FROM line
    GROUP BY retailer_id, store_key, currency
)

SELECT
    store.retailer_id,
    store.store_key,
    store.currency,
    dim_store.store_id,
    dim_store.store_name,
    dim_store.store_city,
    dim_store.store_region,
    dim_store.store_country,
    store.transactions,
    store.units,
    store.sales_amount,
    store.returns_amount,
    store.net_amount,
    round(store.sales_amount / nullif(store.transactions, 0), 4) AS average_basket,
    store.customers,
    CASE
        WHEN store.store_key <> -1
            THEN rank() OVER (
                PARTITION BY store.retailer_id, store.currency, store.store_key = -1
                ORDER BY store.net_amount DESC
            )
    END AS net_rank,
    store.first_sale,
    store.last_sale
FROM store
LEFT JOIN star.dim_store USING (store_key);

CREATE UNIQUE INDEX IF NOT EXISTS mv_store_performance_key
ON marts.mv_store_performance (retailer_id, store_key, currency);

DO $$
DECLARE
    name text;
    thing record;
BEGIN
    FOREACH name IN ARRAY ARRAY['retail_owner', 'retail_loader', 'retail_reader'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name);
        IF NOT (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
            RAISE WARNING 'role % is missing and % may not create it: run sql/roles.sql as an administrator',
                name, current_user;
            RETURN;
        END IF;
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        IF name = 'retail_owner' THEN
            EXECUTE format('GRANT retail_owner TO %I', current_user);
        END IF;
    END LOOP;

    FOR thing IN
        SELECT format('SCHEMA %I', nspname) AS name, nspowner::regrole AS owner
        FROM pg_namespace
        WHERE nspname IN ('star', 'marts', 'ops') AND nspowner <> 'retail_owner'::regrole
        UNION ALL
        SELECT format('%s %s', CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, oid::regclass), relowner::regrole
        FROM pg_class
        WHERE
            relnamespace IN ('star'::regnamespace, 'marts'::regnamespace, 'ops'::regnamespace)
            AND relkind IN ('r', 'p', 'm')
            AND relowner <> 'retail_owner'::regrole
    LOOP
        EXIT WHEN NOT pg_has_role(current_user, 'retail_owner', 'USAGE');
        IF NOT pg_has_role(thing.owner, 'retail_owner', 'MEMBER') THEN
            EXECUTE format('GRANT retail_owner TO %s', thing.owner);
        END IF;
        EXECUTE format('ALTER %s OWNER TO retail_owner', thing.name);
    END LOOP;

    GRANT USAGE ON SCHEMA star, marts, ops TO retail_loader;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA star, ops TO retail_loader;
    GRANT SELECT ON ALL TABLES IN SCHEMA marts TO retail_loader;
    GRANT INSERT, UPDATE ON marts.freshness TO retail_loader;
    GRANT INSERT, UPDATE, DELETE ON marts.restatement, marts.restated_transaction, marts.tie_out TO retail_loader;
    IF current_setting('server_version_num')::integer >= 170000 THEN
        GRANT MAINTAIN ON ALL TABLES IN SCHEMA marts TO retail_loader;
    END IF;

    GRANT USAGE ON SCHEMA star, marts TO retail_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA star, marts TO retail_reader;
END
$$;
