"""A PostgreSQL server of our own, for a laptop and for tests."""
