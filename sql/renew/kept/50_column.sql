-- Column settings: statistics target and options, storage, compression, a plain view's defaults.
SELECT format('ALTER TABLE %s ALTER COLUMN %I %s', attrelid::regclass, attname, setting) AS statement
FROM pg_attribute
INNER JOIN pg_type ON atttypid = pg_type.oid
LEFT JOIN pg_attrdef ON attrelid = adrelid AND attnum = adnum
CROSS JOIN LATERAL (
    VALUES
    (CASE WHEN attstattarget >= 0 THEN 'SET STATISTICS ' || attstattarget END),
    ('SET (' || array_to_string(attoptions, ', ') || ')'),
    (
        CASE
            WHEN attstorage = typstorage THEN NULL
            WHEN attstorage = 'p' THEN 'SET STORAGE PLAIN'
            WHEN attstorage = 'e' THEN 'SET STORAGE EXTERNAL'
            WHEN attstorage = 'm' THEN 'SET STORAGE MAIN'
            WHEN attstorage = 'x' THEN 'SET STORAGE EXTENDED'
        END
    ),
    (CASE attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END),
    ('SET DEFAULT ' || pg_get_expr(adbin, adrelid))
) AS of_column (setting)
WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped AND setting IS NOT NULL
ORDER BY attnum;
