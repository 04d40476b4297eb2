-- What a customer is found by: its names from each character or word on, their sounds and initials. Derived from the
-- customer. Compared byte by byte, so that prefixes are ranges and the order is the same in every database.
CREATE TABLE customer_tokens (
    customer_id uuid NOT NULL REFERENCES customers (id),
    token text COLLATE "C" NOT NULL,
    home_branch_id uuid,
    PRIMARY KEY (customer_id, token)
);
CREATE INDEX customer_tokens_token ON customer_tokens (token, customer_id) INCLUDE (home_branch_id);
CREATE INDEX customer_tokens_branch ON customer_tokens (home_branch_id, token, customer_id);
-- Numbers are found by their beginning, too.
ALTER TABLE customers ALTER COLUMN number TYPE text COLLATE "C";
