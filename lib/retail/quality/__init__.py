"""Steps 4 and 7: row rules, expectation suites and the tie-out of rows and money."""
