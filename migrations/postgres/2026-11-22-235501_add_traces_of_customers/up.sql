-- When somebody was last erased: answers from before are not given again.
CREATE INDEX customers_erased ON customers (erased_at) WHERE erased_at IS NOT NULL;
-- Who owns what: values that may name a customer in the record of another one.
CREATE INDEX attribute_history_owners ON attribute_history (customer_id) WHERE field = 'main_shareholders';

-- Why a customer was made although it looked like one that was there. It may name people, so it is in no event.
CREATE TABLE duplicate_allowances (
    customer_id uuid PRIMARY KEY REFERENCES customers (id),
    reason text NOT NULL,
    allowed_by text NOT NULL,
    allowed_at timestamptz NOT NULL
);

-- Of which customers of a source a kept row tells, so that an erasure finds it; the ids only as blind indexes.
CREATE TABLE import_row_customers (
    customer_index bytea NOT NULL,
    import_row_id uuid NOT NULL REFERENCES import_rows (id) ON DELETE CASCADE,
    PRIMARY KEY (customer_index, import_row_id)
);
CREATE INDEX import_row_customers_row ON import_row_customers (import_row_id);
