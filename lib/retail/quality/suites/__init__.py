"""Great Expectations suites: validation, the rows that failed, and Data Docs."""
