-- Customers that were written since they were compared last; a mark that matches its changes waits for nothing.
CREATE TABLE match_changes (
    customer_id BLOB PRIMARY KEY REFERENCES customers (id),
    changes INTEGER NOT NULL,
    matched INTEGER NOT NULL,
    digest BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX match_changes_waiting ON match_changes (customer_id) WHERE changes > matched;
