CREATE TABLE IF NOT EXISTS ops.migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text NOT NULL
);

COMMENT ON TABLE ops.migration IS 'One row per file of sql/migrations that was applied to this database';
COMMENT ON COLUMN ops.migration.number IS 'From 1 on, without gaps; the greatest is the schema version';
COMMENT ON COLUMN ops.migration.name IS 'The file''s name';
COMMENT ON COLUMN ops.migration.checksum IS 'SHA-256 of the file; an applied file is never edited';
COMMENT ON COLUMN ops.migration.applied_at IS 'When its transaction began';
COMMENT ON COLUMN ops.migration.applied_by IS 'The version of retail-lakehouse that applied it';

CREATE TABLE IF NOT EXISTS ops.definition (
    file text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text NOT NULL
);

COMMENT ON TABLE ops.definition IS 'One row per file of sql/ that may change and is then applied again: comments, views, roles';
COMMENT ON COLUMN ops.definition.file IS 'Its path within sql/';
COMMENT ON COLUMN ops.definition.checksum IS 'SHA-256 of the file as last applied';
COMMENT ON COLUMN ops.definition.applied_at IS 'When its transaction began';
COMMENT ON COLUMN ops.definition.applied_by IS 'The version of retail-lakehouse that applied it';
