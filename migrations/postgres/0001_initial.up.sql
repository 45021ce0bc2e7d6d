CREATE SCHEMA IF NOT EXISTS strongroom;

-- What the schema says of itself. 'oldest_program' is the oldest schema level a program may have to run on it.
CREATE TABLE strongroom.meta (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);
INSERT INTO strongroom.meta VALUES ('schema_level', '1'), ('oldest_program', '1');

-- Every object with a name. 'mac' covers all other columns; the database fills none of them.
CREATE TABLE strongroom.record (
    namespace bytea NOT NULL,
    kind smallint NOT NULL,
    id bytea NOT NULL,
    name text COLLATE "C" NOT NULL,
    rev bigint NOT NULL,
    due bigint,
    format smallint NOT NULL,
    body bytea NOT NULL,
    mac bytea NOT NULL,
    -- The id leads, and the index by name does not: a generic plan made on an empty table has one index to choose.
    PRIMARY KEY (id, kind, namespace)
);
CREATE UNIQUE INDEX record_name ON strongroom.record (namespace, kind, name);
CREATE INDEX record_due ON strongroom.record (kind, due) WHERE due IS NOT NULL;

-- Sealed payloads. The owner's body holds each row's digest.
CREATE TABLE strongroom.version (
    namespace bytea NOT NULL,
    owner bytea NOT NULL,
    number bigint NOT NULL,
    rev bigint NOT NULL,
    format smallint NOT NULL,
    payload smallint NOT NULL,
    epoch bigint NOT NULL,
    salt bytea NOT NULL,
    commitment bytea NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (owner, number, namespace)
);
CREATE INDEX version_epoch ON strongroom.version (epoch, namespace);

-- Ids, digests and ciphertext do not compress: trying to took more than half of a write's time.
ALTER TABLE strongroom.record ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE strongroom.version ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- When secrets were last read, by minute. Nothing is decided by it.
CREATE TABLE strongroom.secret_use (
    namespace bytea NOT NULL,
    secret bytea NOT NULL,
    used_at bigint NOT NULL,
    PRIMARY KEY (secret, namespace)
);

-- The one counter of the global order.
CREATE TABLE strongroom.revision (
    id smallint PRIMARY KEY CHECK (id = 1),
    value bigint NOT NULL
);
INSERT INTO strongroom.revision VALUES (1, 0);

CREATE TABLE strongroom.change (
    revision bigint PRIMARY KEY,
    at bigint NOT NULL,
    namespace bytea NOT NULL,
    kind smallint NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint,
    action smallint NOT NULL
);
CREATE INDEX change_at ON strongroom.change USING brin (at);

CREATE TABLE strongroom.boot (
    boot bigint PRIMARY KEY,
    node text NOT NULL,
    started_at bigint NOT NULL,
    mac bytea NOT NULL
);

CREATE TABLE strongroom.audit_batch (
    id bigint PRIMARY KEY,
    class smallint NOT NULL,
    at bigint NOT NULL,
    count bigint NOT NULL,
    root bytea NOT NULL,
    previous bytea NOT NULL,
    key bigint NOT NULL,
    mac bytea NOT NULL
);
CREATE INDEX audit_batch_at ON strongroom.audit_batch USING brin (at);

-- Entries of granted reads, kept 90 days, and of everything else, kept 400. 'accessor' and 'source' can be erased.
CREATE TABLE strongroom.entry_reads (
    batch bigint NOT NULL,
    place bigint NOT NULL,
    at bigint NOT NULL,
    request bytea NOT NULL,
    dialect smallint NOT NULL,
    action smallint NOT NULL,
    outcome smallint NOT NULL,
    reason smallint NOT NULL,
    principal bytea,
    who bytea NOT NULL,
    namespace bytea NOT NULL,
    path text COLLATE "C" NOT NULL,
    version bigint,
    digest bytea,
    count bigint NOT NULL,
    accessor text,
    source text
) PARTITION BY RANGE (at);
CREATE TABLE strongroom.entry_reads_default PARTITION OF strongroom.entry_reads DEFAULT;
CREATE INDEX entry_reads_batch ON strongroom.entry_reads USING brin (batch) WITH (pages_per_range = 16);
CREATE INDEX entry_reads_at ON strongroom.entry_reads USING brin (at) WITH (pages_per_range = 16);

CREATE TABLE strongroom.entry_kept (LIKE strongroom.entry_reads) PARTITION BY RANGE (at);
CREATE TABLE strongroom.entry_kept_default PARTITION OF strongroom.entry_kept DEFAULT;
CREATE INDEX entry_kept_batch ON strongroom.entry_kept USING brin (batch) WITH (pages_per_range = 16);
CREATE INDEX entry_kept_at ON strongroom.entry_kept USING brin (at) WITH (pages_per_range = 16);
