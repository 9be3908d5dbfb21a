"""`retail status` and `retail profile`."""
