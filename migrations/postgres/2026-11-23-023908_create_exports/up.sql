-- Lists that were asked for as files. The file lies in the data directory, encrypted by a key of its own; without the key
-- it is gone.
CREATE TABLE exports (
    id uuid PRIMARY KEY,
    list text NOT NULL,
    format text NOT NULL,
    purpose text NOT NULL,
    request_sealed bytea NOT NULL,
    job_id uuid NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    key_sealed bytea,
    parts jsonb NOT NULL,
    cursor text,
    tail bytea,
    gathered boolean NOT NULL,
    rows_done bigint NOT NULL,
    rows_total bigint,
    size_bytes bigint,
    finished_at timestamptz,
    expires_at timestamptz,
    withdrawn_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX exports_requested_by ON exports (requested_by, id);
CREATE INDEX exports_kept ON exports (id) WHERE key_sealed IS NOT NULL;
