CREATE TABLE source_systems (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    precedence TEXT NOT NULL,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX source_systems_code_key ON source_systems (code);

CREATE TABLE mappings (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    revision INTEGER NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX mappings_revision_key ON mappings (code, revision);

CREATE TABLE imports (
    id BLOB PRIMARY KEY,
    source_system_id BLOB NOT NULL REFERENCES source_systems (id),
    mapping_id BLOB NOT NULL REFERENCES mappings (id),
    state TEXT NOT NULL,
    job_id BLOB,
    preview TEXT,
    read_count INTEGER NOT NULL,
    created_count INTEGER NOT NULL,
    updated_count INTEGER NOT NULL,
    unchanged_count INTEGER NOT NULL,
    rejected_count INTEGER NOT NULL,
    parked_count INTEGER NOT NULL,
    error TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX imports_source ON imports (source_system_id, id);

CREATE TABLE import_files (
    id BLOB PRIMARY KEY,
    import_id BLOB NOT NULL REFERENCES imports (id),
    ordinal INTEGER NOT NULL,
    name TEXT NOT NULL,
    feed TEXT,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    rows_done INTEGER NOT NULL,
    rows_total INTEGER,
    done INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX import_files_key ON import_files (import_id, ordinal);

CREATE TABLE import_rows (
    id BLOB PRIMARY KEY,
    import_id BLOB NOT NULL REFERENCES imports (id),
    file_id BLOB NOT NULL REFERENCES import_files (id),
    feed TEXT NOT NULL,
    row_no INTEGER NOT NULL,
    line INTEGER NOT NULL,
    state TEXT NOT NULL,
    errors TEXT NOT NULL,
    record_sealed BLOB NOT NULL,
    waiting_for BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX import_rows_key ON import_rows (file_id, row_no, feed);
CREATE INDEX import_rows_state ON import_rows (import_id, state, id);
CREATE INDEX import_rows_waiting ON import_rows (waiting_for, id) WHERE state = 'parked';

-- What an import created, so that it can be taken back.
CREATE TABLE import_effects (
    import_id BLOB NOT NULL REFERENCES imports (id),
    entity TEXT NOT NULL,
    entity_id BLOB NOT NULL,
    PRIMARY KEY (import_id, entity, entity_id)
) STRICT;
