"""Step 6: changed rows of the Delta star into PostgreSQL, in one transaction with the ledger."""
