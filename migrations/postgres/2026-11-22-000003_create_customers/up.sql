CREATE TABLE customers (
    id uuid PRIMARY KEY,
    number text NOT NULL,
    kind text NOT NULL,
    display_name text NOT NULL,
    status text NOT NULL,
    status_reason text,
    status_derived boolean NOT NULL,
    life_cycle_stage text NOT NULL,
    tier text,
    owner_id uuid REFERENCES staff (id),
    home_branch_id uuid REFERENCES branches (id),
    preferred_language text,
    preferred_channel text,
    credit_rating text,
    market_rating text,
    operational_rating text,
    rated_on date,
    fraud_flag boolean NOT NULL,
    deceased_on date,
    merged_into uuid REFERENCES customers (id),
    accuracy_bp integer NOT NULL,
    completeness_bp integer NOT NULL,
    consistency_bp integer NOT NULL,
    quality_score_bp integer NOT NULL,
    review_due_on date,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX customers_number_key ON customers (number);
CREATE INDEX customers_home_branch ON customers (home_branch_id, id);
CREATE INDEX customers_owner ON customers (owner_id, id);
CREATE INDEX customers_kind ON customers (kind, id);

CREATE TABLE personal_profiles (
    customer_id uuid PRIMARY KEY REFERENCES customers (id),
    full_name text NOT NULL,
    family_name text,
    given_name text,
    pinyin text,
    gender text,
    birth_date date,
    nationality text,
    marital_status text,
    dependants integer,
    education text,
    occupation text,
    employer text,
    income_band text,
    assets_band text,
    residence_region text,
    hobbies text,
    habits text,
    financial_need text,
    investment_preference text,
    risk_tolerance text,
    financial_situation text,
    updated_at timestamptz NOT NULL
);
CREATE INDEX personal_profiles_gender ON personal_profiles (gender);

CREATE TABLE organisation_profiles (
    customer_id uuid PRIMARY KEY REFERENCES customers (id),
    legal_name text NOT NULL,
    short_name text,
    nature text,
    legal_form text,
    unified_social_credit_code text,
    lei text,
    industry text,
    founded_on date,
    registered_capital_minor bigint,
    registered_capital_currency text,
    employees integer,
    revenue_band text,
    operating_status text,
    main_shareholders jsonb NOT NULL,
    management jsonb NOT NULL,
    listed_code text,
    updated_at timestamptz NOT NULL
);
CREATE INDEX organisation_profiles_code ON organisation_profiles (unified_social_credit_code);

CREATE TABLE identities (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    identity_type text NOT NULL,
    number_sealed bytea NOT NULL,
    number_index bytea NOT NULL,
    number_masked text NOT NULL,
    issuing_country text,
    issued_on date,
    expires_on date,
    verification text NOT NULL,
    verified_at timestamptz,
    verified_by text,
    verification_method text,
    warnings jsonb NOT NULL,
    ended_at timestamptz,
    end_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX identities_customer ON identities (customer_id, id);
CREATE INDEX identities_number ON identities (number_index);

CREATE TABLE contact_points (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    kind text NOT NULL,
    value text NOT NULL,
    normalised text NOT NULL,
    label text,
    preferred boolean NOT NULL,
    shared boolean NOT NULL,
    do_not_contact boolean NOT NULL,
    verified_at timestamptz,
    valid_from date,
    valid_to date,
    country text,
    province text,
    city text,
    district text,
    street text,
    postcode text,
    division_code text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX contact_points_customer ON contact_points (customer_id, id);
CREATE INDEX contact_points_normalised ON contact_points (kind, normalised);

CREATE TABLE customer_transitions (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    axis text NOT NULL,
    from_value text,
    to_value text NOT NULL,
    reason text NOT NULL,
    derived boolean NOT NULL,
    entered_at timestamptz NOT NULL,
    left_seconds bigint,
    changed_by text NOT NULL
);
CREATE INDEX customer_transitions_customer ON customer_transitions (customer_id, axis, id);

CREATE TABLE attribute_history (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    field text NOT NULL,
    value jsonb NOT NULL,
    source_system text,
    observed_at timestamptz NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    confidence_bp integer NOT NULL,
    recorded_by text NOT NULL
);
CREATE INDEX attribute_history_customer ON attribute_history (customer_id, field, valid_from);

CREATE TABLE source_records (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    source_system text NOT NULL,
    source_id text NOT NULL,
    payload jsonb NOT NULL,
    content_hash bytea NOT NULL,
    match_method text NOT NULL,
    match_score_bp integer NOT NULL,
    decided_by text NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX source_records_source_key ON source_records (source_id, source_system);
CREATE INDEX source_records_customer ON source_records (customer_id, id);

CREATE TABLE relations (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    related_customer_id uuid NOT NULL REFERENCES customers (id),
    relation_type text NOT NULL,
    role_from text,
    role_to text,
    share_bp integer,
    valid_from date NOT NULL,
    valid_to date,
    source text,
    end_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX relations_key ON relations (customer_id, related_customer_id, relation_type, valid_from);
CREATE INDEX relations_related ON relations (related_customer_id, relation_type);

CREATE TABLE assignments (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    staff_id uuid NOT NULL REFERENCES staff (id),
    role text NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    reason text,
    end_reason text,
    assigned_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX assignments_primary_key ON assignments (customer_id) WHERE role = 'primary' AND valid_to IS NULL;
CREATE INDEX assignments_customer ON assignments (customer_id, id);
CREATE INDEX assignments_staff ON assignments (staff_id, customer_id);
