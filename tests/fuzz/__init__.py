"""Hostile input for every parser of outside data: some examples in CI, and as many as time allows: `make fuzz`."""
