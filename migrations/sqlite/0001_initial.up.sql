-- What the schema says of itself. 'oldest_program' is the oldest schema level a program may have to run on it;
-- 'high_water' is the latest time this store has seen.
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO meta VALUES ('schema_level', '1'), ('oldest_program', '1'), ('high_water', '0');

-- Every object with a name. 'mac' covers all other columns; the database fills none of them.
CREATE TABLE record (
    namespace BLOB NOT NULL,
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL COLLATE BINARY,
    rev INTEGER NOT NULL,
    due INTEGER,
    format INTEGER NOT NULL,
    body BLOB NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (namespace, kind, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX record_name ON record (namespace, kind, name);
CREATE INDEX record_due ON record (kind, due) WHERE due IS NOT NULL;

-- Sealed payloads. The owner's body holds each row's digest.
CREATE TABLE version (
    namespace BLOB NOT NULL,
    owner BLOB NOT NULL,
    number INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    format INTEGER NOT NULL,
    payload INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    salt BLOB NOT NULL,
    commitment BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (namespace, owner, number)
) STRICT;
CREATE INDEX version_epoch ON version (namespace, epoch);

-- When secrets were last read, by minute. Nothing is decided by it.
CREATE TABLE secret_use (
    namespace BLOB NOT NULL,
    secret BLOB NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, secret)
) STRICT;

-- The one counter of the global order.
CREATE TABLE revision (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO revision VALUES (1, 0);

CREATE TABLE change (
    revision INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    namespace BLOB NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE BINARY,
    version INTEGER,
    action INTEGER NOT NULL
) STRICT;

CREATE TABLE boot (
    boot INTEGER NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    mac BLOB NOT NULL
) STRICT;

CREATE TABLE audit_batch (
    id INTEGER NOT NULL PRIMARY KEY,
    class INTEGER NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    root BLOB NOT NULL,
    previous BLOB NOT NULL,
    key INTEGER NOT NULL,
    mac BLOB NOT NULL
) STRICT;

-- Entries of granted reads, kept 90 days, and of everything else, kept 400. 'accessor' and 'source' can be erased.
-- SQLite has no partitions: the index on time serves both search and removal in small steps.
CREATE TABLE entry_reads (
    batch INTEGER NOT NULL,
    place INTEGER NOT NULL,
    at INTEGER NOT NULL,
    request BLOB NOT NULL,
    dialect INTEGER NOT NULL,
    action INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    principal BLOB,
    who BLOB NOT NULL,
    namespace BLOB NOT NULL,
    path TEXT NOT NULL COLLATE BINARY,
    version INTEGER,
    digest BLOB,
    count INTEGER NOT NULL,
    accessor TEXT,
    source TEXT,
    PRIMARY KEY (batch, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_reads_at ON entry_reads (at);

CREATE TABLE entry_kept (
    batch INTEGER NOT NULL,
    place INTEGER NOT NULL,
    at INTEGER NOT NULL,
    request BLOB NOT NULL,
    dialect INTEGER NOT NULL,
    action INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    principal BLOB,
    who BLOB NOT NULL,
    namespace BLOB NOT NULL,
    path TEXT NOT NULL COLLATE BINARY,
    version INTEGER,
    digest BLOB,
    count INTEGER NOT NULL,
    accessor TEXT,
    source TEXT,
    PRIMARY KEY (batch, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_kept_at ON entry_kept (at);
