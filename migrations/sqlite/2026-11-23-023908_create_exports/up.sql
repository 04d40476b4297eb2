-- Lists that were asked for as files. The file lies in the data directory, encrypted by a key of its own; without the key
-- it is gone.
CREATE TABLE exports (
    id BLOB PRIMARY KEY,
    list TEXT NOT NULL,
    format TEXT NOT NULL,
    purpose TEXT NOT NULL,
    request_sealed BLOB NOT NULL,
    job_id BLOB NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    key_sealed BLOB,
    parts TEXT NOT NULL,
    cursor TEXT,
    tail BLOB,
    gathered INTEGER NOT NULL,
    rows_done INTEGER NOT NULL,
    rows_total INTEGER,
    size_bytes INTEGER,
    finished_at INTEGER,
    expires_at INTEGER,
    withdrawn_at INTEGER,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX exports_requested_by ON exports (requested_by, id);
CREATE INDEX exports_kept ON exports (id) WHERE key_sealed IS NOT NULL;
