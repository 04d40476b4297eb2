ALTER TABLE contact_persons DROP COLUMN end_reason;
ALTER TABLE contact_persons DROP COLUMN ended_on;
