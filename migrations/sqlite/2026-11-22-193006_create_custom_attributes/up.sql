-- Fields that the bank adds to its customers.
CREATE TABLE attribute_definitions (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    customer_kinds TEXT NOT NULL,
    value_type TEXT NOT NULL,
    choices TEXT NOT NULL,
    max_length INTEGER,
    minimum INTEGER,
    maximum INTEGER,
    field_class TEXT NOT NULL,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX attribute_definitions_code_key ON attribute_definitions (code);

CREATE TABLE custom_attributes (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    attribute_definition_id BLOB NOT NULL REFERENCES attribute_definitions (id),
    value TEXT NOT NULL,
    set_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX custom_attributes_key ON custom_attributes (customer_id, attribute_definition_id);
CREATE INDEX custom_attributes_definition ON custom_attributes (attribute_definition_id, customer_id);
