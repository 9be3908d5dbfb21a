-- Whether the views show any of these runs; if the views lag behind, a rollback must not move them forward.
SELECT EXISTS (SELECT FROM marts.freshness WHERE run_id = ANY({runs}));
