-- Up to 17 domains of tags.
CREATE TABLE tag_domains (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    description text,
    place integer NOT NULL,
    built_in boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX tag_domains_code_key ON tag_domains (code);
CREATE UNIQUE INDEX tag_domains_place_key ON tag_domains (place);

CREATE TABLE tags (
    id uuid PRIMARY KEY,
    tag_domain_id uuid NOT NULL REFERENCES tag_domains (id),
    code text NOT NULL,
    name text NOT NULL,
    description text,
    value_type text NOT NULL,
    choices jsonb NOT NULL,
    settable_by jsonb NOT NULL,
    field_class text NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX tags_code_key ON tags (code);
CREATE INDEX tags_domain ON tags (tag_domain_id, id);

CREATE TABLE customer_tags (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    tag_id uuid NOT NULL REFERENCES tags (id),
    value text,
    source text NOT NULL,
    confidence_bp integer NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    set_by text NOT NULL,
    end_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX customer_tags_open_key ON customer_tags (customer_id, tag_id) WHERE valid_to IS NULL;
CREATE INDEX customer_tags_customer ON customer_tags (customer_id, id);
CREATE INDEX customer_tags_tag ON customer_tags (tag_id, customer_id);
