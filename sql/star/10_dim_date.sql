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

COMMENT ON TABLE star.dim_date IS 'One row per day: the calendar, and the 4-5-4 retail calendar';
COMMENT ON COLUMN star.dim_date.date_key IS 'yyyymmdd; -1 is the unknown day';
COMMENT ON COLUMN star.dim_date.calendar_date IS 'NULL for the unknown day';
COMMENT ON COLUMN star.dim_date.year IS 'Calendar year';
COMMENT ON COLUMN star.dim_date.quarter IS '1 to 4';
COMMENT ON COLUMN star.dim_date.month IS '1 to 12';
COMMENT ON COLUMN star.dim_date.month_name IS 'In English';
COMMENT ON COLUMN star.dim_date.day IS 'Day of the month';
COMMENT ON COLUMN star.dim_date.day_of_week IS 'ISO: 1 is Monday';
COMMENT ON COLUMN star.dim_date.day_name IS 'In English';
COMMENT ON COLUMN star.dim_date.iso_year IS 'The year that the ISO week belongs to';
COMMENT ON COLUMN star.dim_date.iso_week IS 'ISO 8601 week, 1 to 53';
COMMENT ON COLUMN star.dim_date.is_weekend IS 'Saturday or Sunday';
COMMENT ON COLUMN star.dim_date.retail_year IS 'Year of the 4-5-4 calendar';
COMMENT ON COLUMN star.dim_date.retail_quarter IS 'Quarter of the 4-5-4 calendar: months of 4, 5 and 4 weeks';
COMMENT ON COLUMN star.dim_date.retail_month IS 'Month of the 4-5-4 calendar';
COMMENT ON COLUMN star.dim_date.retail_week IS 'Week of the 4-5-4 year, 1 to 53';
COMMENT ON COLUMN star.dim_date.retail_week_start IS 'First day of the retail week, a Sunday';
COMMENT ON COLUMN star.dim_date.retail_week_end IS 'Last day of the retail week, a Saturday';
COMMENT ON COLUMN star.dim_date.changed_run_id IS 'The run that last changed the row';
