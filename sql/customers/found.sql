-- Whether a column holds any of these customers.
SELECT EXISTS (SELECT FROM {table} WHERE {column} = ANY({values}));
