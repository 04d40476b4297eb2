CREATE TABLE groups (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    purpose TEXT,
    strategy TEXT,
    service_level TEXT,
    owner_id BLOB REFERENCES staff (id),
    status TEXT NOT NULL,
    closed_on TEXT,
    close_reason TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX groups_number_key ON groups (number);
CREATE INDEX groups_owner ON groups (owner_id);

-- The groups above a group; no group stands above itself, through others neither.
CREATE TABLE group_parents (
    group_id BLOB NOT NULL REFERENCES groups (id),
    parent_id BLOB NOT NULL REFERENCES groups (id),
    PRIMARY KEY (group_id, parent_id)
) STRICT;
CREATE INDEX group_parents_parent ON group_parents (parent_id, group_id);

-- Who works for a group.
CREATE TABLE group_staff (
    group_id BLOB NOT NULL REFERENCES groups (id),
    staff_id BLOB NOT NULL REFERENCES staff (id),
    role TEXT NOT NULL,
    PRIMARY KEY (group_id, staff_id)
) STRICT;
CREATE INDEX group_staff_staff ON group_staff (staff_id);

-- Who was in a group when; of one customer in one group no two rows hold on the same day.
CREATE TABLE group_members (
    id BLOB PRIMARY KEY,
    group_id BLOB NOT NULL REFERENCES groups (id),
    customer_id BLOB NOT NULL REFERENCES customers (id),
    role TEXT NOT NULL,
    is_primary INTEGER NOT NULL,
    valid_from TEXT NOT NULL,
    valid_to TEXT,
    source TEXT NOT NULL,
    reason TEXT,
    end_reason TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX group_members_open_key ON group_members (customer_id, group_id) WHERE valid_to IS NULL;
CREATE INDEX group_members_group ON group_members (group_id, id);
CREATE INDEX group_members_customer ON group_members (customer_id, group_id, valid_from);
