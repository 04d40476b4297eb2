-- What has happened; append-only. position and hash are given after commit by one sequencer.
CREATE TABLE events (
    id uuid PRIMARY KEY,
    position bigint,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    customer_id uuid,
    account_id uuid,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    on_behalf_by text,
    request_id text,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    hash bytea
);
CREATE UNIQUE INDEX events_position_key ON events (position);
CREATE INDEX events_unsequenced ON events (id) WHERE position IS NULL;
CREATE INDEX events_customer ON events (customer_id, occurred_at);

-- One row: where the sequencer stands.
CREATE TABLE event_heads (
    id integer PRIMARY KEY,
    position bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO event_heads (id, position, hash) VALUES (1, 0, '');

-- Who read what is sensitive, and why.
CREATE TABLE access_log (
    id uuid PRIMARY KEY,
    customer_id uuid,
    resource text NOT NULL,
    resource_id uuid NOT NULL,
    action text NOT NULL,
    fields jsonb NOT NULL,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    on_behalf_by text,
    purpose text,
    request_id text,
    at timestamptz NOT NULL
);
CREATE INDEX access_log_customer ON access_log (customer_id, id);
CREATE INDEX access_log_actor ON access_log (actor, id);

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    state text NOT NULL,
    payload jsonb NOT NULL,
    result jsonb,
    error text,
    progress_done bigint NOT NULL,
    progress_total bigint,
    attempts integer NOT NULL,
    run_after timestamptz NOT NULL,
    lease_owner uuid,
    lease_until timestamptz,
    cancel_requested boolean NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX jobs_due ON jobs (state, run_after);
