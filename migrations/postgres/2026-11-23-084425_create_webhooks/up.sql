-- Where events are posted to: whose, how far the feed was read for it, and who reads it now.
CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    url text NOT NULL,
    types jsonb NOT NULL,
    status text NOT NULL,
    status_reason text,
    owner text NOT NULL,
    asker_sealed bytea NOT NULL,
    secret_sealed bytea,
    previous_secret_sealed bytea,
    previous_valid_until timestamptz,
    -- All events up to here have become deliveries, or are not for this endpoint.
    position bigint NOT NULL,
    replay_position bigint,
    replay_until bigint,
    failing_since timestamptz,
    last_success_at timestamptz,
    resume_at timestamptz,
    lease_owner uuid,
    lease_until timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX webhook_endpoints_owner ON webhook_endpoints (owner, id);

-- An event on its way to an endpoint. What is posted is told anew at each attempt, so nothing of it is kept here.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints (id),
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at timestamptz,
    last_attempt_at timestamptz,
    last_status integer,
    last_error text,
    last_duration_ms integer,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (endpoint_id, event_id);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (id) WHERE state = 'dead';
