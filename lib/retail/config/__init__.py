"""Configuration, secrets and logs."""
