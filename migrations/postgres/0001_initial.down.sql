DROP TABLE strongroom.entry_kept, strongroom.entry_reads, strongroom.audit_batch, strongroom.boot, strongroom.change,
    strongroom.revision, strongroom.secret_use, strongroom.version, strongroom.record, strongroom.meta;
