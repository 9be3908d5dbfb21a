-- Its owner. First, so that all that follows is made as the owner's.
SELECT format('ALTER TABLE %s OWNER TO %s', oid::regclass, relowner::regrole) AS statement
FROM pg_class
WHERE oid = {oid};
