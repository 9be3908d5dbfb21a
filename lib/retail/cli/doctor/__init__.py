"""`retail doctor`."""
