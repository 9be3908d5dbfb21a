"""`retail sql`."""
