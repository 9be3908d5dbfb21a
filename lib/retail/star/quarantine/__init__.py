"""Lines that were refused: the Delta table, how they are listed, and what was acknowledged."""
