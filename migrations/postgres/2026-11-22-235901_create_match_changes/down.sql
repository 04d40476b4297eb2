DROP TABLE match_changes;
