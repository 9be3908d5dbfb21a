"""Steps 1 and 2 in the lake: pages as the retailers sent them, raw files, and master data."""
