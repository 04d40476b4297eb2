-- Several records of one customer became one; may be taken back until reversible_until.
CREATE TABLE merges (
    id BLOB PRIMARY KEY,
    survivor_id BLOB NOT NULL REFERENCES customers (id),
    reason TEXT NOT NULL,
    plan TEXT NOT NULL,
    moved TEXT NOT NULL,
    executed_by TEXT NOT NULL,
    executed_at INTEGER NOT NULL,
    reversible_until INTEGER NOT NULL,
    reverted_at INTEGER,
    reverted_by TEXT,
    revert_reason TEXT,
    kept_changes TEXT,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX merges_survivor ON merges (survivor_id, id);

-- The records that a merge absorbed.
CREATE TABLE merge_members (
    merge_id BLOB NOT NULL REFERENCES merges (id),
    customer_id BLOB NOT NULL REFERENCES customers (id),
    PRIMARY KEY (merge_id, customer_id)
) STRICT;
CREATE INDEX merge_members_customer ON merge_members (customer_id);

-- Every row that a merge moved or changed. before holds what a column was when the merge changed more than the owner.
CREATE TABLE merge_rows (
    merge_id BLOB NOT NULL REFERENCES merges (id),
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    row_id BLOB NOT NULL,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    row_version INTEGER,
    before TEXT,
    PRIMARY KEY (merge_id, table_name, column_name, row_id)
) STRICT;
CREATE INDEX merge_rows_customer ON merge_rows (customer_id);
