DROP TABLE group_members;
DROP TABLE group_staff;
DROP TABLE group_parents;
DROP TABLE groups;
