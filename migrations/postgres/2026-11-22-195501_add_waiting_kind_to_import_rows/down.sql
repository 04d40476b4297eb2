ALTER TABLE import_rows DROP COLUMN waiting_kind;
