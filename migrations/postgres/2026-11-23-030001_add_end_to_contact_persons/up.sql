-- Since when the bank deals with a contact person no more, and why.
ALTER TABLE contact_persons ADD COLUMN ended_on date;
ALTER TABLE contact_persons ADD COLUMN end_reason text;
