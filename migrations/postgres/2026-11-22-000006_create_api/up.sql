CREATE TABLE clients (
    id uuid PRIMARY KEY,
    client_id text NOT NULL,
    name text NOT NULL,
    secret_hash text NOT NULL,
    previous_secret_hash text,
    previous_valid_until timestamptz,
    roles jsonb NOT NULL,
    scopes jsonb NOT NULL,
    branch_id uuid REFERENCES branches (id),
    status text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revoked_at timestamptz,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX clients_client_id_key ON clients (client_id);

CREATE TABLE idempotency_keys (
    key_hash bytea PRIMARY KEY,
    request_hash bytea NOT NULL,
    -- running: nothing is written; written: the change is committed; answered: the answer is kept.
    state text NOT NULL,
    status integer,
    headers jsonb,
    body_sealed bytea,
    row_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
