-- What has happened; append-only. position and hash are given after commit by one sequencer.
CREATE TABLE events (
    id BLOB PRIMARY KEY,
    position INTEGER,
    kind TEXT NOT NULL,
    subject_id BLOB NOT NULL,
    customer_id BLOB,
    account_id BLOB,
    actor TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    on_behalf_by TEXT,
    request_id TEXT,
    occurred_at INTEGER NOT NULL,
    data TEXT NOT NULL,
    hash BLOB
) STRICT;
CREATE UNIQUE INDEX events_position_key ON events (position);
CREATE INDEX events_unsequenced ON events (id) WHERE position IS NULL;
CREATE INDEX events_customer ON events (customer_id, occurred_at);

-- One row: where the sequencer stands.
CREATE TABLE event_heads (
    id INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO event_heads (id, position, hash) VALUES (1, 0, x'');

-- Who read what is sensitive, and why.
CREATE TABLE access_log (
    id BLOB PRIMARY KEY,
    customer_id BLOB,
    resource TEXT NOT NULL,
    resource_id BLOB NOT NULL,
    action TEXT NOT NULL,
    fields TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    on_behalf_by TEXT,
    purpose TEXT,
    request_id TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX access_log_customer ON access_log (customer_id, id);
CREATE INDEX access_log_actor ON access_log (actor, id);

CREATE TABLE jobs (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    payload TEXT NOT NULL,
    result TEXT,
    error TEXT,
    progress_done INTEGER NOT NULL,
    progress_total INTEGER,
    attempts INTEGER NOT NULL,
    run_after INTEGER NOT NULL,
    lease_owner BLOB,
    lease_until INTEGER,
    cancel_requested INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (state, run_after);
