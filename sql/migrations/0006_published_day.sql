-- Sums of a day as it is published: a correction of many days need not read all of the fact for them.
CREATE TABLE ops.published_day (
    retailer_id text NOT NULL,
    business_date date NOT NULL,
    currency text NOT NULL,
    rows bigint NOT NULL,
    units numeric NOT NULL,
    discount_amount numeric NOT NULL,
    net_amount numeric NOT NULL,
    tax_amount numeric NOT NULL,
    PRIMARY KEY (retailer_id, business_date, currency)
);
