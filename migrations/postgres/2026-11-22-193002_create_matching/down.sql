DROP TABLE match_candidates;
DROP TABLE match_parameters;
DROP TABLE match_keys;
