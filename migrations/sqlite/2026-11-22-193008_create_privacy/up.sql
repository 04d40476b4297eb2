-- When a customer's data was erased; the row stays as a tombstone.
ALTER TABLE customers ADD COLUMN erased_at INTEGER;
CREATE INDEX customers_merged_into ON customers (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX customers_review_due ON customers (review_due_on, id) WHERE review_due_on IS NOT NULL;
CREATE INDEX customers_quality ON customers (quality_score_bp, id);
-- A timeline goes by id: ids grow with time. What it filters by is in the index, so that what it skips costs no row.
DROP INDEX events_customer;
CREATE INDEX events_customer ON events (customer_id, id, kind, occurred_at);
CREATE INDEX events_account ON events (account_id, id) WHERE account_id IS NOT NULL;

-- Why a customer's data may not be erased for now.
CREATE TABLE legal_holds (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    reason TEXT NOT NULL,
    reference TEXT,
    placed_by TEXT NOT NULL,
    placed_at INTEGER NOT NULL,
    released_by TEXT,
    released_at INTEGER,
    release_reason TEXT,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX legal_holds_customer ON legal_holds (customer_id, id);

-- Everything that was held about a customer at one moment, sealed; gone after expires_at.
CREATE TABLE privacy_exports (
    id BLOB PRIMARY KEY,
    customer_id BLOB NOT NULL REFERENCES customers (id),
    job_id BLOB NOT NULL,
    purpose TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    content_sealed BLOB,
    finished_at INTEGER,
    expires_at INTEGER,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX privacy_exports_customer ON privacy_exports (customer_id, id);
