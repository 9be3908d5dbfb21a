"""Steps 6 and 8: the star in PostgreSQL and its materialized views."""
