-- The raw files as landed, all text: cast what you add up, CAST(total_amount AS decimal(18, 4)).
-- Partitions are computed from these properties, not looked up: no crawler, no MSCK REPAIR, a new day is available at once.
-- A date is a logical date: the day on which the retailer changed the record.
CREATE EXTERNAL TABLE IF NOT EXISTS raw_sales (
    :fields
)
PARTITIONED BY (retailer string, year string, month string, day string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION ':lake/raw/'
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.retailer.type' = 'enum',
    'projection.retailer.values' = ':retailers',
    'projection.year.type' = 'date',
    'projection.year.format' = 'yyyy',
    'projection.year.range' = ':first_year,NOW',
    'projection.year.interval' = '1',
    'projection.year.interval.unit' = 'YEARS',
    'projection.month.type' = 'integer',
    'projection.month.range' = '1,12',
    'projection.month.digits' = '2',
    'projection.day.type' = 'integer',
    'projection.day.range' = '1,31',
    'projection.day.digits' = '2',
    'storage.location.template' = ':lake/raw/${retailer}/year=${year}/month=${month}/day=${day}/'
);
