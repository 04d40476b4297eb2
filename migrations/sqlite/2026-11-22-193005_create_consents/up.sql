-- What a customer has said about being contacted or its data being used; append-only.
CREATE TABLE consents (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    purpose TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    evidence TEXT,
    source TEXT NOT NULL,
    recorded_by TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX consents_customer ON consents (customer_id, purpose, channel, given_at);
