CREATE TABLE clients (
    id BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    previous_secret_hash TEXT,
    previous_valid_until INTEGER,
    roles TEXT NOT NULL,
    scopes TEXT NOT NULL,
    branch_id BLOB REFERENCES branches (id),
    status TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revoked_at INTEGER,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX clients_client_id_key ON clients (client_id);

CREATE TABLE idempotency_keys (
    key_hash BLOB PRIMARY KEY,
    request_hash BLOB NOT NULL,
    -- running: nothing is written; written: the change is committed; answered: the answer is kept.
    state TEXT NOT NULL,
    status INTEGER,
    headers TEXT,
    body_sealed BLOB,
    row_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
