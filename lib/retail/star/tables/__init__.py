"""The tables of the star, one file each: schema, natural key, and how its rows are derived."""
