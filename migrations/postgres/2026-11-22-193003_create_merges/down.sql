DROP TABLE merge_rows;
DROP TABLE merge_members;
DROP TABLE merges;
