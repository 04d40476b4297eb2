DROP INDEX accounts_dividend;
DROP INDEX accounts_repayment;
DROP INDEX accounts_maturity;
