DROP TABLE strongroom.entry_kept, strongroom.entry_reads, strongroom.audit_batch, strongroom.boot, strongroom.change,
    strongroom.revision, strongroom.version, strongroom.record, strongroom.meta;
