-- Up to 17 domains of tags.
CREATE TABLE tag_domains (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    place INTEGER NOT NULL,
    built_in INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX tag_domains_code_key ON tag_domains (code);
CREATE UNIQUE INDEX tag_domains_place_key ON tag_domains (place);

CREATE TABLE tags (
    id BLOB PRIMARY KEY,
    tag_domain_id BLOB NOT NULL REFERENCES tag_domains (id),
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    value_type TEXT NOT NULL,
    choices TEXT NOT NULL,
    settable_by TEXT NOT NULL,
    field_class TEXT NOT NULL,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX tags_code_key ON tags (code);
CREATE INDEX tags_domain ON tags (tag_domain_id, id);

CREATE TABLE customer_tags (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    tag_id BLOB NOT NULL REFERENCES tags (id),
    value TEXT,
    source TEXT NOT NULL,
    confidence_bp INTEGER NOT NULL,
    valid_from TEXT NOT NULL,
    valid_to TEXT,
    set_by TEXT NOT NULL,
    end_reason TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX customer_tags_open_key ON customer_tags (customer_id, tag_id) WHERE valid_to IS NULL;
CREATE INDEX customer_tags_customer ON customer_tags (customer_id, id);
CREATE INDEX customer_tags_tag ON customer_tags (tag_id, customer_id);
