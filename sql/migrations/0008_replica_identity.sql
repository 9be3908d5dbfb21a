-- A publication FOR ALL TABLES refuses changes of a table that has neither a primary key nor a replica identity.
ALTER TABLE marts.tie_out REPLICA IDENTITY FULL;
