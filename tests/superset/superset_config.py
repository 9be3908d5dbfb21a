"""Superset's configuration for a test: its own records in a file of SQLite, everything else as it comes."""

import os

SECRET_KEY = os.environ["RETAIL_TEST_SUPERSET_SECRET"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{os.environ['RETAIL_TEST_SUPERSET_FOLDER']}/superset.db"
