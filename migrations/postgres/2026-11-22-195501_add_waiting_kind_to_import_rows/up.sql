-- What kind of record a parked row waits for, so that an import tries only rows that it can free.
ALTER TABLE import_rows ADD COLUMN waiting_kind text;
