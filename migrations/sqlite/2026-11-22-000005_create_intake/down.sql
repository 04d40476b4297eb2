DROP TABLE import_effects;
DROP TABLE import_rows;
DROP TABLE import_files;
DROP TABLE imports;
DROP TABLE mappings;
DROP TABLE source_systems;
