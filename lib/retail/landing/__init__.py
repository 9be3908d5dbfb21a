"""Steps 1 and 2 in the lake: pages as the retailers answered, raw files, and master data."""
