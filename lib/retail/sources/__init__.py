"""The retailers' APIs, and how their responses become sales records."""
