-- What was published and taken back: ops.publish holds what PostgreSQL shows, and this what it showed for a while.
CREATE TABLE ops.rollback (
    rollback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    rolled_back_at timestamptz NOT NULL DEFAULT now(),
    taken_back text[] NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL,
    shown_run_id text NOT NULL,
    tables jsonb NOT NULL
);
