DROP TABLE roles;
DROP TABLE team_members;
DROP TABLE teams;
DROP TABLE staff;
DROP TABLE branch_moves;
DROP TABLE branches;
