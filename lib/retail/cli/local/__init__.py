"""Commands for a laptop."""
