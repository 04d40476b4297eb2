DROP TABLE privacy_exports;
DROP TABLE legal_holds;
DROP INDEX events_account;
DROP INDEX events_customer;
CREATE INDEX events_customer ON events (customer_id, occurred_at);
DROP INDEX customers_quality;
DROP INDEX customers_review_due;
DROP INDEX customers_merged_into;
ALTER TABLE customers DROP COLUMN erased_at;
