CREATE TABLE products (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    for_kinds TEXT NOT NULL,
    features TEXT NOT NULL,
    launch_from TEXT,
    launch_to TEXT,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    unit_revenue_minor INTEGER,
    unit_cost_minor INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX products_code_key ON products (code);

CREATE TABLE product_rates (
    id BLOB PRIMARY KEY,
    product_id BLOB NOT NULL REFERENCES products (id),
    kind TEXT NOT NULL,
    value_bp INTEGER NOT NULL,
    currency TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_to TEXT
) STRICT;
CREATE UNIQUE INDEX product_rates_key ON product_rates (product_id, kind, currency, valid_from);

CREATE TABLE accounts (
    id BLOB PRIMARY KEY,
    source_system TEXT NOT NULL,
    number_sealed BLOB NOT NULL,
    number_index BLOB NOT NULL,
    number_masked TEXT NOT NULL,
    product_id BLOB NOT NULL REFERENCES products (id),
    branch_id BLOB REFERENCES branches (id),
    parent_account_id BLOB REFERENCES accounts (id),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    opened_on TEXT,
    closed_on TEXT,
    matures_on TEXT,
    next_repayment_on TEXT,
    next_dividend_on TEXT,
    credit_limit_minor INTEGER,
    balance_minor INTEGER,
    balance_as_of INTEGER,
    attributes TEXT NOT NULL,
    content_hash BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX accounts_number_key ON accounts (number_index, source_system);
CREATE INDEX accounts_product ON accounts (product_id, id);
CREATE INDEX accounts_branch ON accounts (branch_id, id);
CREATE INDEX accounts_parent ON accounts (parent_account_id);

CREATE TABLE deposits (
    account_id BLOB PRIMARY KEY REFERENCES accounts (id),
    statement_frequency TEXT,
    term_months INTEGER,
    rate_bp INTEGER
) STRICT;

CREATE TABLE loans (
    account_id BLOB PRIMARY KEY REFERENCES accounts (id),
    principal_minor INTEGER NOT NULL,
    term_months INTEGER,
    rate_bp INTEGER,
    payment_minor INTEGER,
    overdue_minor INTEGER,
    repayment_state TEXT NOT NULL
) STRICT;

CREATE TABLE cards (
    account_id BLOB PRIMARY KEY REFERENCES accounts (id),
    kind TEXT NOT NULL,
    pan_sealed BLOB,
    pan_index BLOB,
    pan_masked TEXT,
    expires_on TEXT
) STRICT;
CREATE INDEX cards_pan ON cards (pan_index);

CREATE TABLE holdings (
    account_id BLOB PRIMARY KEY REFERENCES accounts (id),
    instrument TEXT NOT NULL,
    -- Millionths of a unit.
    units_micro INTEGER NOT NULL,
    market_value_minor INTEGER,
    valued_on TEXT
) STRICT;

CREATE TABLE standing_orders (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    source_system TEXT NOT NULL,
    source_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    purpose TEXT,
    counterparty_bank TEXT,
    counterparty_masked TEXT,
    counterparty_hash BLOB,
    frequency TEXT,
    status TEXT NOT NULL,
    valid_from TEXT,
    valid_to TEXT,
    content_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX standing_orders_source_key ON standing_orders (source_id, source_system);
CREATE INDEX standing_orders_account ON standing_orders (account_id, id);

CREATE TABLE account_balances (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    day TEXT NOT NULL,
    balance_minor INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT;

CREATE TABLE account_links (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    customer_id BLOB NOT NULL REFERENCES customers (id),
    role TEXT NOT NULL,
    share_bp INTEGER,
    signing_rule TEXT,
    signing_threshold INTEGER,
    is_primary INTEGER NOT NULL,
    valid_from TEXT NOT NULL,
    valid_to TEXT,
    evidence TEXT,
    closed_reason TEXT,
    source_system TEXT,
    source_id TEXT,
    content_hash BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX account_links_key ON account_links (account_id, customer_id, role, valid_from);
CREATE UNIQUE INDEX account_links_source_key ON account_links (source_id, source_system);
CREATE INDEX account_links_customer ON account_links (customer_id, account_id);

CREATE TABLE transactions (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    source_system TEXT NOT NULL,
    source_id TEXT NOT NULL,
    booked_at INTEGER NOT NULL,
    booked_on TEXT NOT NULL,
    direction TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    transaction_type TEXT NOT NULL,
    channel TEXT NOT NULL,
    purpose TEXT,
    counterparty_hash BLOB,
    balance_after_minor INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX transactions_source_key ON transactions (source_id, source_system);
CREATE INDEX transactions_account ON transactions (account_id, booked_at, id);

CREATE TABLE account_daily_totals (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    day TEXT NOT NULL,
    credit_minor INTEGER NOT NULL,
    debit_minor INTEGER NOT NULL,
    credit_count INTEGER NOT NULL,
    debit_count INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT;

CREATE TABLE account_monthly_totals (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    month TEXT NOT NULL,
    credit_minor INTEGER NOT NULL,
    debit_minor INTEGER NOT NULL,
    credit_count INTEGER NOT NULL,
    debit_count INTEGER NOT NULL,
    PRIMARY KEY (account_id, month)
) STRICT;

-- Transactions whose account has not come yet.
CREATE TABLE parked_transactions (
    id BLOB PRIMARY KEY,
    source_system TEXT NOT NULL,
    source_id TEXT NOT NULL,
    number_index BLOB NOT NULL,
    payload TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX parked_transactions_source_key ON parked_transactions (source_id, source_system);
CREATE INDEX parked_transactions_number ON parked_transactions (number_index, source_system);
