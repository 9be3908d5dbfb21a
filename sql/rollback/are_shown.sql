-- Whether the views show any of these runs; where they lag behind, taking a publish back must not move them on.
SELECT EXISTS (SELECT FROM marts.freshness WHERE run_id = ANY({runs}));
