CREATE TABLE branches (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    level text NOT NULL,
    parent_id uuid REFERENCES branches (id),
    -- Codes from the root down, each ended by '.'; a subtree is a range of paths.
    path text COLLATE "C" NOT NULL,
    region text,
    time_zone text NOT NULL,
    address text,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX branches_code_key ON branches (code);
CREATE UNIQUE INDEX branches_path_key ON branches (path);
CREATE INDEX branches_parent ON branches (parent_id);

CREATE TABLE branch_moves (
    id uuid PRIMARY KEY,
    branch_id uuid NOT NULL REFERENCES branches (id),
    from_parent_id uuid REFERENCES branches (id),
    to_parent_id uuid NOT NULL REFERENCES branches (id),
    reason text NOT NULL,
    moved_by text NOT NULL,
    moved_at timestamptz NOT NULL
);
CREATE INDEX branch_moves_branch ON branch_moves (branch_id, id);

CREATE TABLE staff (
    id uuid PRIMARY KEY,
    employee_no text NOT NULL,
    name text NOT NULL,
    branch_id uuid NOT NULL REFERENCES branches (id),
    title text,
    roles jsonb NOT NULL,
    languages jsonb NOT NULL,
    specialities jsonb NOT NULL,
    phone_extension text,
    capacity integer,
    status text NOT NULL,
    deactivated_at timestamptz,
    deactivation_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX staff_employee_no_key ON staff (employee_no);
CREATE INDEX staff_branch ON staff (branch_id, id);

CREATE TABLE teams (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    branch_id uuid REFERENCES branches (id),
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX teams_code_key ON teams (code);

CREATE TABLE team_members (
    id uuid PRIMARY KEY,
    team_id uuid NOT NULL REFERENCES teams (id),
    staff_id uuid NOT NULL REFERENCES staff (id),
    role text NOT NULL,
    valid_from date NOT NULL,
    valid_to date
);
CREATE UNIQUE INDEX team_members_active_key ON team_members (team_id, staff_id) WHERE valid_to IS NULL;
CREATE INDEX team_members_staff ON team_members (staff_id);

CREATE TABLE roles (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    description text,
    grants jsonb NOT NULL,
    field_classes jsonb NOT NULL,
    built_in boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX roles_code_key ON roles (code);
