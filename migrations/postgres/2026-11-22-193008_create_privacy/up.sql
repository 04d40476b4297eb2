-- When a customer's data was erased; the row stays as a tombstone.
ALTER TABLE customers ADD COLUMN erased_at timestamptz;
CREATE INDEX customers_merged_into ON customers (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX customers_review_due ON customers (review_due_on, id) WHERE review_due_on IS NOT NULL;
CREATE INDEX customers_quality ON customers (quality_score_bp, id);
-- A timeline goes by id: ids grow with time. What it filters by is in the index, so that what it skips costs no row.
DROP INDEX events_customer;
CREATE INDEX events_customer ON events (customer_id, id, kind, occurred_at);
CREATE INDEX events_account ON events (account_id, id) WHERE account_id IS NOT NULL;

-- Why a customer's data may not be erased for now.
CREATE TABLE legal_holds (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    reason text NOT NULL,
    reference text,
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL,
    released_by text,
    released_at timestamptz,
    release_reason text,
    version bigint NOT NULL
);
CREATE INDEX legal_holds_customer ON legal_holds (customer_id, id);

-- Everything that was held about a customer at one moment, sealed; gone after expires_at.
CREATE TABLE privacy_exports (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    job_id uuid NOT NULL,
    purpose text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    content_sealed bytea,
    finished_at timestamptz,
    expires_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX privacy_exports_customer ON privacy_exports (customer_id, id);
