-- Deletes the records of the runs that are rolled back; their figures are recorded again, against the star of that time,
-- once they are published again.
DELETE FROM ops.publish WHERE run_id = ANY({runs});

DELETE FROM marts.restatement WHERE run_id = {published_by};

DELETE FROM marts.restated_transaction WHERE run_id = {published_by};

DELETE FROM marts.tie_out WHERE run_id = ANY({runs});
