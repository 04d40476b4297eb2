CREATE TABLE products (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    for_kinds jsonb NOT NULL,
    features jsonb NOT NULL,
    launch_from date,
    launch_to date,
    status text NOT NULL,
    currency text NOT NULL,
    unit_revenue_minor bigint,
    unit_cost_minor bigint,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX products_code_key ON products (code);

CREATE TABLE product_rates (
    id uuid PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products (id),
    kind text NOT NULL,
    value_bp integer NOT NULL,
    currency text NOT NULL,
    valid_from date NOT NULL,
    valid_to date
);
CREATE UNIQUE INDEX product_rates_key ON product_rates (product_id, kind, currency, valid_from);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    source_system text NOT NULL,
    number_sealed bytea NOT NULL,
    number_index bytea NOT NULL,
    number_masked text NOT NULL,
    product_id uuid NOT NULL REFERENCES products (id),
    branch_id uuid REFERENCES branches (id),
    parent_account_id uuid REFERENCES accounts (id),
    currency text NOT NULL,
    status text NOT NULL,
    opened_on date,
    closed_on date,
    matures_on date,
    next_repayment_on date,
    next_dividend_on date,
    credit_limit_minor bigint,
    balance_minor bigint,
    balance_as_of timestamptz,
    attributes jsonb NOT NULL,
    content_hash bytea,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX accounts_number_key ON accounts (number_index, source_system);
CREATE INDEX accounts_product ON accounts (product_id, id);
CREATE INDEX accounts_branch ON accounts (branch_id, id);
CREATE INDEX accounts_parent ON accounts (parent_account_id);

CREATE TABLE deposits (
    account_id uuid PRIMARY KEY REFERENCES accounts (id),
    statement_frequency text,
    term_months integer,
    rate_bp integer
);

CREATE TABLE loans (
    account_id uuid PRIMARY KEY REFERENCES accounts (id),
    principal_minor bigint NOT NULL,
    term_months integer,
    rate_bp integer,
    payment_minor bigint,
    overdue_minor bigint,
    repayment_state text NOT NULL
);

CREATE TABLE cards (
    account_id uuid PRIMARY KEY REFERENCES accounts (id),
    kind text NOT NULL,
    pan_sealed bytea,
    pan_index bytea,
    pan_masked text,
    expires_on date
);
CREATE INDEX cards_pan ON cards (pan_index);

CREATE TABLE holdings (
    account_id uuid PRIMARY KEY REFERENCES accounts (id),
    instrument text NOT NULL,
    -- Millionths of a unit.
    units_micro bigint NOT NULL,
    market_value_minor bigint,
    valued_on date
);

CREATE TABLE standing_orders (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    source_system text NOT NULL,
    source_id text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    purpose text,
    counterparty_bank text,
    counterparty_masked text,
    counterparty_hash bytea,
    frequency text,
    status text NOT NULL,
    valid_from date,
    valid_to date,
    content_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX standing_orders_source_key ON standing_orders (source_id, source_system);
CREATE INDEX standing_orders_account ON standing_orders (account_id, id);

CREATE TABLE account_balances (
    account_id uuid NOT NULL REFERENCES accounts (id),
    day date NOT NULL,
    balance_minor bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, day)
);

CREATE TABLE account_links (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    customer_id uuid NOT NULL REFERENCES customers (id),
    role text NOT NULL,
    share_bp integer,
    signing_rule text,
    signing_threshold integer,
    is_primary boolean NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    evidence text,
    closed_reason text,
    source_system text,
    source_id text,
    content_hash bytea,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX account_links_key ON account_links (account_id, customer_id, role, valid_from);
CREATE UNIQUE INDEX account_links_source_key ON account_links (source_id, source_system);
CREATE INDEX account_links_customer ON account_links (customer_id, account_id);

CREATE TABLE transactions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    source_system text NOT NULL,
    source_id text NOT NULL,
    booked_at timestamptz NOT NULL,
    booked_on date NOT NULL,
    direction text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    transaction_type text NOT NULL,
    channel text NOT NULL,
    purpose text,
    counterparty_hash bytea,
    balance_after_minor bigint,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX transactions_source_key ON transactions (source_id, source_system);
CREATE INDEX transactions_account ON transactions (account_id, booked_at, id);

CREATE TABLE account_daily_totals (
    account_id uuid NOT NULL REFERENCES accounts (id),
    day date NOT NULL,
    credit_minor bigint NOT NULL,
    debit_minor bigint NOT NULL,
    credit_count bigint NOT NULL,
    debit_count bigint NOT NULL,
    PRIMARY KEY (account_id, day)
);

CREATE TABLE account_monthly_totals (
    account_id uuid NOT NULL REFERENCES accounts (id),
    month date NOT NULL,
    credit_minor bigint NOT NULL,
    debit_minor bigint NOT NULL,
    credit_count bigint NOT NULL,
    debit_count bigint NOT NULL,
    PRIMARY KEY (account_id, month)
);

-- Transactions whose account has not come yet.
CREATE TABLE parked_transactions (
    id uuid PRIMARY KEY,
    source_system text NOT NULL,
    source_id text NOT NULL,
    number_index bytea NOT NULL,
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX parked_transactions_source_key ON parked_transactions (source_id, source_system);
CREATE INDEX parked_transactions_number ON parked_transactions (number_index, source_system);
