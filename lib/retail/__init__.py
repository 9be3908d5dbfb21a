"""A daily batch pipeline for retail analytics: retailers' APIs to a Delta star and PostgreSQL views."""

__version__ = "0.1.0"
