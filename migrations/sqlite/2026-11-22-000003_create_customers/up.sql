CREATE TABLE customers (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL,
    kind TEXT NOT NULL,
    display_name TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    status_derived INTEGER NOT NULL,
    life_cycle_stage TEXT NOT NULL,
    tier TEXT,
    owner_id BLOB REFERENCES staff (id),
    home_branch_id BLOB REFERENCES branches (id),
    preferred_language TEXT,
    preferred_channel TEXT,
    credit_rating TEXT,
    market_rating TEXT,
    operational_rating TEXT,
    rated_on TEXT,
    fraud_flag INTEGER NOT NULL,
    deceased_on TEXT,
    merged_into BLOB REFERENCES customers (id),
    accuracy_bp INTEGER NOT NULL,
    completeness_bp INTEGER NOT NULL,
    consistency_bp INTEGER NOT NULL,
    quality_score_bp INTEGER NOT NULL,
    review_due_on TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX customers_number_key ON customers (number);
CREATE INDEX customers_home_branch ON customers (home_branch_id, id);
CREATE INDEX customers_owner ON customers (owner_id, id);
CREATE INDEX customers_kind ON customers (kind, id);

CREATE TABLE personal_profiles (
    customer_id BLOB PRIMARY KEY REFERENCES customers (id),
    full_name TEXT NOT NULL,
    family_name TEXT,
    given_name TEXT,
    pinyin TEXT,
    gender TEXT,
    birth_date TEXT,
    nationality TEXT,
    marital_status TEXT,
    dependants INTEGER,
    education TEXT,
    occupation TEXT,
    employer TEXT,
    income_band TEXT,
    assets_band TEXT,
    residence_region TEXT,
    hobbies TEXT,
    habits TEXT,
    financial_need TEXT,
    investment_preference TEXT,
    risk_tolerance TEXT,
    financial_situation TEXT,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX personal_profiles_gender ON personal_profiles (gender);

CREATE TABLE organisation_profiles (
    customer_id BLOB PRIMARY KEY REFERENCES customers (id),
    legal_name TEXT NOT NULL,
    short_name TEXT,
    nature TEXT,
    legal_form TEXT,
    unified_social_credit_code TEXT,
    lei TEXT,
    industry TEXT,
    founded_on TEXT,
    registered_capital_minor INTEGER,
    registered_capital_currency TEXT,
    employees INTEGER,
    revenue_band TEXT,
    operating_status TEXT,
    main_shareholders TEXT NOT NULL,
    management TEXT NOT NULL,
    listed_code TEXT,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX organisation_profiles_code ON organisation_profiles (unified_social_credit_code);

CREATE TABLE identities (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    identity_type TEXT NOT NULL,
    number_sealed BLOB NOT NULL,
    number_index BLOB NOT NULL,
    number_masked TEXT NOT NULL,
    issuing_country TEXT,
    issued_on TEXT,
    expires_on TEXT,
    verification TEXT NOT NULL,
    verified_at INTEGER,
    verified_by TEXT,
    verification_method TEXT,
    warnings TEXT NOT NULL,
    ended_at INTEGER,
    end_reason TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX identities_customer ON identities (customer_id, id);
CREATE INDEX identities_number ON identities (number_index);

CREATE TABLE contact_points (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    normalised TEXT NOT NULL,
    label TEXT,
    preferred INTEGER NOT NULL,
    shared INTEGER NOT NULL,
    do_not_contact INTEGER NOT NULL,
    verified_at INTEGER,
    valid_from TEXT,
    valid_to TEXT,
    country TEXT,
    province TEXT,
    city TEXT,
    district TEXT,
    street TEXT,
    postcode TEXT,
    division_code TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX contact_points_customer ON contact_points (customer_id, id);
CREATE INDEX contact_points_normalised ON contact_points (kind, normalised);

CREATE TABLE customer_transitions (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    axis TEXT NOT NULL,
    from_value TEXT,
    to_value TEXT NOT NULL,
    reason TEXT NOT NULL,
    derived INTEGER NOT NULL,
    entered_at INTEGER NOT NULL,
    left_seconds INTEGER,
    changed_by TEXT NOT NULL
) STRICT;
CREATE INDEX customer_transitions_customer ON customer_transitions (customer_id, axis, id);

CREATE TABLE attribute_history (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    source_system TEXT,
    observed_at INTEGER NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER,
    confidence_bp INTEGER NOT NULL,
    recorded_by TEXT NOT NULL
) STRICT;
CREATE INDEX attribute_history_customer ON attribute_history (customer_id, field, valid_from);

CREATE TABLE source_records (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    source_system TEXT NOT NULL,
    source_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    match_method TEXT NOT NULL,
    match_score_bp INTEGER NOT NULL,
    decided_by TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX source_records_source_key ON source_records (source_id, source_system);
CREATE INDEX source_records_customer ON source_records (customer_id, id);

CREATE TABLE relations (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    related_customer_id BLOB NOT NULL REFERENCES customers (id),
    relation_type TEXT NOT NULL,
    role_from TEXT,
    role_to TEXT,
    share_bp INTEGER,
    valid_from TEXT NOT NULL,
    valid_to TEXT,
    source TEXT,
    end_reason TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX relations_key ON relations (customer_id, related_customer_id, relation_type, valid_from);
CREATE INDEX relations_related ON relations (related_customer_id, relation_type);

CREATE TABLE assignments (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    staff_id BLOB NOT NULL REFERENCES staff (id),
    role TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_to TEXT,
    reason TEXT,
    end_reason TEXT,
    assigned_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX assignments_primary_key ON assignments (customer_id) WHERE role = 'primary' AND valid_to IS NULL;
CREATE INDEX assignments_customer ON assignments (customer_id, id);
CREATE INDEX assignments_staff ON assignments (staff_id, customer_id);
