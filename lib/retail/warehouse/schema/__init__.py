"""The schema in PostgreSQL: tables, partitions, migrations, views."""
