"""The lake: storage, Delta tables, the engine that reads them, and the location of each object."""
