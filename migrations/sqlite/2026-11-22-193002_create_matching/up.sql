-- Keyed hashes under which customers are compared with each other. Derived from the customer.
CREATE TABLE match_keys (
    key INTEGER NOT NULL,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    PRIMARY KEY (key, customer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX match_keys_customer ON match_keys (customer_id);

-- What comparisons weigh, estimated from the bank's own data; one version of each subject is in use.
CREATE TABLE match_parameters (
    id BLOB PRIMARY KEY,
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    content TEXT NOT NULL,
    records INTEGER NOT NULL,
    in_use INTEGER NOT NULL,
    estimated_by TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX match_parameters_version_key ON match_parameters (subject, version);

-- Pairs that may be one and the same; left_id is the smaller of both. The customers of the pair keep their ids.
CREATE TABLE match_candidates (
    id BLOB PRIMARY KEY,
    left_id BLOB NOT NULL REFERENCES customers (id),
    right_id BLOB NOT NULL REFERENCES customers (id),
    score_bp INTEGER NOT NULL,
    band TEXT NOT NULL,
    reasons TEXT NOT NULL,
    facts_hash BLOB NOT NULL,
    parameters_version INTEGER NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    postponed_until TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    decision_reason TEXT,
    merge_id BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX match_candidates_pair_key ON match_candidates (left_id, right_id);
CREATE INDEX match_candidates_right ON match_candidates (right_id);
CREATE INDEX match_candidates_queue ON match_candidates (state, score_bp, id);
