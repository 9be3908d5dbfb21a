-- Its owner. First, so that the owner owns everything created after it.
SELECT format('ALTER TABLE %s OWNER TO %s', oid::regclass, relowner::regrole) AS statement
FROM pg_class
WHERE oid = {oid};
