-- Customers that were written since they were compared last; a mark that matches its changes waits for nothing.
CREATE TABLE match_changes (
    customer_id uuid PRIMARY KEY REFERENCES customers (id),
    changes bigint NOT NULL,
    matched bigint NOT NULL,
    digest bytea
);
CREATE INDEX match_changes_waiting ON match_changes (customer_id) WHERE changes > matched;
