-- What a customer has said about being contacted or its data being used; append-only.
CREATE TABLE consents (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    purpose text NOT NULL,
    channel text NOT NULL,
    state text NOT NULL,
    given_at timestamptz NOT NULL,
    evidence text,
    source text NOT NULL,
    recorded_by text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX consents_customer ON consents (customer_id, purpose, channel, given_at);
