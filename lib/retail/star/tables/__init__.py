"""The tables of the star, one file each: schema, natural key, how its rows are derived."""
