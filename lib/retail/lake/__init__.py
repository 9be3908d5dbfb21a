"""The lake: storage, Delta tables, the engine that reads them, and where each object lies."""
