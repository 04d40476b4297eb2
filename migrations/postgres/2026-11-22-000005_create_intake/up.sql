CREATE TABLE source_systems (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    precedence jsonb NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX source_systems_code_key ON source_systems (code);

CREATE TABLE mappings (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    revision integer NOT NULL,
    name text NOT NULL,
    document jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX mappings_revision_key ON mappings (code, revision);

CREATE TABLE imports (
    id uuid PRIMARY KEY,
    source_system_id uuid NOT NULL REFERENCES source_systems (id),
    mapping_id uuid NOT NULL REFERENCES mappings (id),
    state text NOT NULL,
    job_id uuid,
    preview jsonb,
    read_count bigint NOT NULL,
    created_count bigint NOT NULL,
    updated_count bigint NOT NULL,
    unchanged_count bigint NOT NULL,
    rejected_count bigint NOT NULL,
    parked_count bigint NOT NULL,
    error text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX imports_source ON imports (source_system_id, id);

CREATE TABLE import_files (
    id uuid PRIMARY KEY,
    import_id uuid NOT NULL REFERENCES imports (id),
    ordinal integer NOT NULL,
    name text NOT NULL,
    feed text,
    path text NOT NULL,
    size_bytes bigint NOT NULL,
    rows_done bigint NOT NULL,
    rows_total bigint,
    done boolean NOT NULL
);
CREATE UNIQUE INDEX import_files_key ON import_files (import_id, ordinal);

CREATE TABLE import_rows (
    id uuid PRIMARY KEY,
    import_id uuid NOT NULL REFERENCES imports (id),
    file_id uuid NOT NULL REFERENCES import_files (id),
    feed text NOT NULL,
    row_no bigint NOT NULL,
    line bigint NOT NULL,
    state text NOT NULL,
    errors jsonb NOT NULL,
    record_sealed bytea NOT NULL,
    waiting_for bytea,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX import_rows_key ON import_rows (file_id, row_no, feed);
CREATE INDEX import_rows_state ON import_rows (import_id, state, id);
CREATE INDEX import_rows_waiting ON import_rows (waiting_for, id) WHERE state = 'parked';

-- What an import created, so that it can be taken back.
CREATE TABLE import_effects (
    import_id uuid NOT NULL REFERENCES imports (id),
    entity text NOT NULL,
    entity_id uuid NOT NULL,
    PRIMARY KEY (import_id, entity, entity_id)
);
