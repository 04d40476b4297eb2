CREATE TABLE groups (
    id uuid PRIMARY KEY,
    number text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    purpose text,
    strategy text,
    service_level text,
    owner_id uuid REFERENCES staff (id),
    status text NOT NULL,
    closed_on date,
    close_reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX groups_number_key ON groups (number);
CREATE INDEX groups_owner ON groups (owner_id);

-- The groups above a group; no group stands above itself, through others neither.
CREATE TABLE group_parents (
    group_id uuid NOT NULL REFERENCES groups (id),
    parent_id uuid NOT NULL REFERENCES groups (id),
    PRIMARY KEY (group_id, parent_id)
);
CREATE INDEX group_parents_parent ON group_parents (parent_id, group_id);

-- Who works for a group.
CREATE TABLE group_staff (
    group_id uuid NOT NULL REFERENCES groups (id),
    staff_id uuid NOT NULL REFERENCES staff (id),
    role text NOT NULL,
    PRIMARY KEY (group_id, staff_id)
);
CREATE INDEX group_staff_staff ON group_staff (staff_id);

-- Who was in a group when; of one customer in one group no two rows hold on the same day.
CREATE TABLE group_members (
    id uuid PRIMARY KEY,
    group_id uuid NOT NULL REFERENCES groups (id),
    customer_id uuid NOT NULL REFERENCES customers (id),
    role text NOT NULL,
    is_primary boolean NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    source text NOT NULL,
    reason text,
    end_reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX group_members_open_key ON group_members (customer_id, group_id) WHERE valid_to IS NULL;
CREATE INDEX group_members_group ON group_members (group_id, id);
CREATE INDEX group_members_customer ON group_members (customer_id, group_id, valid_from);
