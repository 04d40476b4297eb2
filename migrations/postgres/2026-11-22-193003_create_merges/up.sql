-- Several records of one customer became one; may be taken back until reversible_until.
CREATE TABLE merges (
    id uuid PRIMARY KEY,
    survivor_id uuid NOT NULL REFERENCES customers (id),
    reason text NOT NULL,
    plan jsonb NOT NULL,
    moved jsonb NOT NULL,
    executed_by text NOT NULL,
    executed_at timestamptz NOT NULL,
    reversible_until timestamptz NOT NULL,
    reverted_at timestamptz,
    reverted_by text,
    revert_reason text,
    kept_changes jsonb,
    version bigint NOT NULL
);
CREATE INDEX merges_survivor ON merges (survivor_id, id);

-- The records that a merge absorbed.
CREATE TABLE merge_members (
    merge_id uuid NOT NULL REFERENCES merges (id),
    customer_id uuid NOT NULL REFERENCES customers (id),
    PRIMARY KEY (merge_id, customer_id)
);
CREATE INDEX merge_members_customer ON merge_members (customer_id);

-- Every row that a merge moved or changed. before holds what a column was when the merge changed more than the owner.
CREATE TABLE merge_rows (
    merge_id uuid NOT NULL REFERENCES merges (id),
    table_name text NOT NULL,
    column_name text NOT NULL,
    row_id uuid NOT NULL,
    customer_id uuid NOT NULL REFERENCES customers (id),
    row_version bigint,
    before jsonb,
    PRIMARY KEY (merge_id, table_name, column_name, row_id)
);
CREATE INDEX merge_rows_customer ON merge_rows (customer_id);
