-- Where events are posted to: whose, how far the feed was read for it, and who reads it now.
CREATE TABLE webhook_endpoints (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    types TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    owner TEXT NOT NULL,
    asker_sealed BLOB NOT NULL,
    secret_sealed BLOB,
    previous_secret_sealed BLOB,
    previous_valid_until INTEGER,
    -- All events up to here have become deliveries, or are not for this endpoint.
    position INTEGER NOT NULL,
    replay_position INTEGER,
    replay_until INTEGER,
    failing_since INTEGER,
    last_success_at INTEGER,
    resume_at INTEGER,
    lease_owner BLOB,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_endpoints_owner ON webhook_endpoints (owner, id);

-- An event on its way to an endpoint. What is posted is told anew at each attempt, so nothing of it is kept here.
CREATE TABLE webhook_deliveries (
    id BLOB PRIMARY KEY,
    endpoint_id BLOB NOT NULL REFERENCES webhook_endpoints (id),
    event_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER,
    last_attempt_at INTEGER,
    last_status INTEGER,
    last_error TEXT,
    last_duration_ms INTEGER,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (endpoint_id, event_id);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (id) WHERE state = 'dead';
