-- Whether the view {view} has the query of {draft}, and all of its options and indexes; more may have been added by hand.
SELECT
    pg_get_viewdef(view.oid) = pg_get_viewdef(draft.oid)
    AND coalesce(view.reloptions, '{{}}') @> coalesce(draft.reloptions, '{{}}')
    AND NOT EXISTS (
        SELECT replace(pg_get_indexdef(indexrelid), {suffix}, '') FROM pg_index WHERE indrelid = draft.oid
        EXCEPT
        SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = view.oid
    )
FROM pg_class AS view, pg_class AS draft
WHERE view.oid = {view}::regclass AND draft.oid = {draft}::regclass;
