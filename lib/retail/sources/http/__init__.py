"""HTTP with a retailer: one client, its messages and its rate limit."""
