-- Groups whose members follow a rule: the rule, the dimensions of a matrix, and the branch whose customers are looked at.
ALTER TABLE groups ADD COLUMN rule jsonb;
ALTER TABLE groups ADD COLUMN dimensions jsonb;
ALTER TABLE groups ADD COLUMN branch_id uuid REFERENCES branches (id);
-- The matrix of a cell and the parts of its dimensions that meet in it, as one text.
ALTER TABLE groups ADD COLUMN matrix_id uuid REFERENCES groups (id);
ALTER TABLE groups ADD COLUMN cell text;
-- The number of the latest attempt to make members follow the rule: older ones give up. And up to which event, on which day and
-- when they were last made to.
ALTER TABLE groups ADD COLUMN refresh_number bigint NOT NULL DEFAULT 0;
ALTER TABLE groups ADD COLUMN refreshed_to bigint;
ALTER TABLE groups ADD COLUMN refreshed_on date;
ALTER TABLE groups ADD COLUMN refreshed_at timestamptz;
CREATE UNIQUE INDEX groups_cell_key ON groups (matrix_id, cell) WHERE matrix_id IS NOT NULL AND status = 'active';
CREATE INDEX groups_by_rule ON groups (refreshed_to) WHERE kind IN ('dynamic', 'matrix') AND status = 'active';
