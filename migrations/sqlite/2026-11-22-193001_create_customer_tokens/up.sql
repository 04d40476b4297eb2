-- What a customer is found by: its names from each character or word on, their sounds and initials. Derived from the
-- customer. Compared byte by byte, so that prefixes are ranges and the order is the same in every database.
CREATE TABLE customer_tokens (
    customer_id BLOB NOT NULL REFERENCES customers (id),
    token TEXT NOT NULL,
    home_branch_id BLOB,
    PRIMARY KEY (customer_id, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX customer_tokens_token ON customer_tokens (token, customer_id, home_branch_id);
CREATE INDEX customer_tokens_branch ON customer_tokens (home_branch_id, token, customer_id);
