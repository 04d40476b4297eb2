-- People whom the bank knows in companies: a pool of its own, independent of any one company.
CREATE TABLE contact_persons (
    id BLOB PRIMARY KEY,
    person_customer_id BLOB REFERENCES customers (id),
    home_branch_id BLOB REFERENCES branches (id),
    name TEXT NOT NULL,
    phone TEXT,
    email TEXT,
    wechat TEXT,
    background TEXT,
    experience TEXT,
    hobbies TEXT,
    family TEXT,
    personality TEXT,
    taboos TEXT,
    seniority TEXT,
    closeness TEXT,
    influence TEXT,
    concerns TEXT,
    need_detail TEXT,
    coping_strategy TEXT,
    competitor_relations TEXT,
    care_plan TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX contact_persons_branch ON contact_persons (home_branch_id, id);
CREATE INDEX contact_persons_customer ON contact_persons (person_customer_id);

CREATE TABLE employments (
    id BLOB PRIMARY KEY,
    contact_person_id BLOB NOT NULL REFERENCES contact_persons (id),
    customer_id BLOB NOT NULL REFERENCES customers (id),
    position TEXT,
    department TEXT,
    decision_role TEXT,
    valid_from TEXT NOT NULL,
    valid_to TEXT,
    end_reason TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX employments_open_key ON employments (contact_person_id, customer_id) WHERE valid_to IS NULL;
CREATE INDEX employments_customer ON employments (customer_id, id);
CREATE INDEX employments_person ON employments (contact_person_id, id);

CREATE TABLE contact_person_relations (
    id BLOB PRIMARY KEY,
    contact_person_id BLOB NOT NULL REFERENCES contact_persons (id),
    related_contact_person_id BLOB NOT NULL REFERENCES contact_persons (id),
    relation_type TEXT NOT NULL,
    note TEXT,
    ended_at INTEGER,
    end_reason TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX contact_person_relations_key
    ON contact_person_relations (contact_person_id, related_contact_person_id, relation_type) WHERE ended_at IS NULL;
CREATE INDEX contact_person_relations_related ON contact_person_relations (related_contact_person_id);
