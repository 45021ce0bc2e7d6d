DROP TABLE strongroom.entry_kept, strongroom.entry_reads, strongroom.audit_batch, strongroom.boot, strongroom.change,
    strongroom.revision, strongroom.version, strongroom.record, strongroom.meta;

DO $$
DECLARE
    setting text;
BEGIN
    FOREACH setting IN ARRAY ARRAY[
        'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'synchronous_commit', 'plan_cache_mode',
        'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'
    ] LOOP
        EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I RESET ', current_database()) || setting;
    END LOOP;
END
$$;
