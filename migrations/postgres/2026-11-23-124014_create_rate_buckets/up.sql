-- Buckets of rate limits that all servers draw from. All that is kept of one is when it will be full again.
CREATE TABLE rate_buckets (
    key_hash bytea PRIMARY KEY,
    full_at timestamptz NOT NULL
);

-- Where a client has come in with its secret: attempts from there are not counted.
CREATE TABLE login_places (
    place_hash bytea PRIMARY KEY,
    known_until timestamptz NOT NULL
);
