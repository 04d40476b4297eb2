-- Fields that the bank adds to its customers.
CREATE TABLE attribute_definitions (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    description text,
    customer_kinds jsonb NOT NULL,
    value_type text NOT NULL,
    choices jsonb NOT NULL,
    max_length integer,
    minimum bigint,
    maximum bigint,
    field_class text NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX attribute_definitions_code_key ON attribute_definitions (code);

CREATE TABLE custom_attributes (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    attribute_definition_id uuid NOT NULL REFERENCES attribute_definitions (id),
    value text NOT NULL,
    set_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX custom_attributes_key ON custom_attributes (customer_id, attribute_definition_id);
CREATE INDEX custom_attributes_definition ON custom_attributes (attribute_definition_id, customer_id);
