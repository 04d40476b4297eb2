CREATE TABLE branches (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    level TEXT NOT NULL,
    parent_id BLOB REFERENCES branches (id),
    -- Codes from the root down, each ended by '.'; a subtree is a range of paths.
    path TEXT NOT NULL,
    region TEXT,
    time_zone TEXT NOT NULL,
    address TEXT,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX branches_code_key ON branches (code);
CREATE UNIQUE INDEX branches_path_key ON branches (path);
CREATE INDEX branches_parent ON branches (parent_id);

CREATE TABLE branch_moves (
    id BLOB PRIMARY KEY,
    branch_id BLOB NOT NULL REFERENCES branches (id),
    from_parent_id BLOB REFERENCES branches (id),
    to_parent_id BLOB NOT NULL REFERENCES branches (id),
    reason TEXT NOT NULL,
    moved_by TEXT NOT NULL,
    moved_at INTEGER NOT NULL
) STRICT;
CREATE INDEX branch_moves_branch ON branch_moves (branch_id, id);

CREATE TABLE staff (
    id BLOB PRIMARY KEY,
    employee_no TEXT NOT NULL,
    name TEXT NOT NULL,
    branch_id BLOB NOT NULL REFERENCES branches (id),
    title TEXT,
    roles TEXT NOT NULL,
    languages TEXT NOT NULL,
    specialities TEXT NOT NULL,
    phone_extension TEXT,
    capacity INTEGER,
    status TEXT NOT NULL,
    deactivated_at INTEGER,
    deactivation_reason TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX staff_employee_no_key ON staff (employee_no);
CREATE INDEX staff_branch ON staff (branch_id, id);

CREATE TABLE teams (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    branch_id BLOB REFERENCES branches (id),
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX teams_code_key ON teams (code);

CREATE TABLE team_members (
    id BLOB PRIMARY KEY,
    team_id BLOB NOT NULL REFERENCES teams (id),
    staff_id BLOB NOT NULL REFERENCES staff (id),
    role TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_to TEXT
) STRICT;
CREATE UNIQUE INDEX team_members_active_key ON team_members (team_id, staff_id) WHERE valid_to IS NULL;
CREATE INDEX team_members_staff ON team_members (staff_id);

CREATE TABLE roles (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    grants TEXT NOT NULL,
    field_classes TEXT NOT NULL,
    built_in INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX roles_code_key ON roles (code);
