-- People whom the bank knows in companies: a pool of its own, independent of any one company.
CREATE TABLE contact_persons (
    id uuid PRIMARY KEY,
    person_customer_id uuid REFERENCES customers (id),
    home_branch_id uuid REFERENCES branches (id),
    name text NOT NULL,
    phone text,
    email text,
    wechat text,
    background text,
    experience text,
    hobbies text,
    family text,
    personality text,
    taboos text,
    seniority text,
    closeness text,
    influence text,
    concerns text,
    need_detail text,
    coping_strategy text,
    competitor_relations text,
    care_plan text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX contact_persons_branch ON contact_persons (home_branch_id, id);
CREATE INDEX contact_persons_customer ON contact_persons (person_customer_id);

CREATE TABLE employments (
    id uuid PRIMARY KEY,
    contact_person_id uuid NOT NULL REFERENCES contact_persons (id),
    customer_id uuid NOT NULL REFERENCES customers (id),
    position text,
    department text,
    decision_role text,
    valid_from date NOT NULL,
    valid_to date,
    end_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX employments_open_key ON employments (contact_person_id, customer_id) WHERE valid_to IS NULL;
CREATE INDEX employments_customer ON employments (customer_id, id);
CREATE INDEX employments_person ON employments (contact_person_id, id);

CREATE TABLE contact_person_relations (
    id uuid PRIMARY KEY,
    contact_person_id uuid NOT NULL REFERENCES contact_persons (id),
    related_contact_person_id uuid NOT NULL REFERENCES contact_persons (id),
    relation_type text NOT NULL,
    note text,
    ended_at timestamptz,
    end_reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX contact_person_relations_key
    ON contact_person_relations (contact_person_id, related_contact_person_id, relation_type) WHERE ended_at IS NULL;
CREATE INDEX contact_person_relations_related ON contact_person_relations (related_contact_person_id);
