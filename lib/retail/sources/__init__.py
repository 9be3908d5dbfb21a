"""Steps 1 and 2: what the retailers answer, and the raw files made of it."""
