-- What stands of the runs taken back: their figures are told anew, from what is there then, once they are published again.
DELETE FROM ops.publish WHERE run_id = ANY({runs});

DELETE FROM marts.restatement WHERE run_id = {published_by};

DELETE FROM marts.restated_transaction WHERE run_id = {published_by};

DELETE FROM marts.tie_out WHERE run_id = ANY({runs});
