"""`retail explain`."""
