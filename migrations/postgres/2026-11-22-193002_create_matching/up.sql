-- Keyed hashes under which customers are compared with each other. Derived from the customer.
CREATE TABLE match_keys (
    key bigint NOT NULL,
    customer_id uuid NOT NULL REFERENCES customers (id),
    PRIMARY KEY (key, customer_id)
);
CREATE INDEX match_keys_customer ON match_keys (customer_id);

-- What comparisons weigh, estimated from the bank's own data; one version of each subject is in use.
CREATE TABLE match_parameters (
    id uuid PRIMARY KEY,
    subject text NOT NULL,
    version bigint NOT NULL,
    content jsonb NOT NULL,
    records bigint NOT NULL,
    in_use boolean NOT NULL,
    estimated_by text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX match_parameters_version_key ON match_parameters (subject, version);

-- Pairs that may be one and the same; left_id is the smaller of both. The customers of the pair keep their ids.
CREATE TABLE match_candidates (
    id uuid PRIMARY KEY,
    left_id uuid NOT NULL REFERENCES customers (id),
    right_id uuid NOT NULL REFERENCES customers (id),
    score_bp integer NOT NULL,
    band text NOT NULL,
    reasons jsonb NOT NULL,
    facts_hash bytea NOT NULL,
    parameters_version bigint NOT NULL,
    source text NOT NULL,
    state text NOT NULL,
    postponed_until date,
    decided_by text,
    decided_at timestamptz,
    decision_reason text,
    merge_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX match_candidates_pair_key ON match_candidates (left_id, right_id);
CREATE INDEX match_candidates_right ON match_candidates (right_id);
CREATE INDEX match_candidates_queue ON match_candidates (state, score_bp, id);
