CREATE INDEX accounts_maturity ON accounts (matures_on, id) WHERE matures_on IS NOT NULL;
CREATE INDEX accounts_repayment ON accounts (next_repayment_on, id) WHERE next_repayment_on IS NOT NULL;
CREATE INDEX accounts_dividend ON accounts (next_dividend_on, id) WHERE next_dividend_on IS NOT NULL;
