"""Refused lines: the Delta table, how they are listed, and which were acknowledged."""
