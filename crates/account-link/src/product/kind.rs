//! Categories and states of products, and kinds of rates.

use kehu_kernel::text_enum;

text_enum! {
    /// What kind of product it is; decides which facts its accounts have.
    pub enum ProductCategory {
        /// Current and savings accounts, term deposits.
        Deposit = "deposit",
        /// Loans and mortgages.
        Loan = "loan",
        /// Debit and credit cards.
        Card = "card",
        /// Investment funds.
        Fund = "fund",
        /// Insurance policies.
        Insurance = "insurance",
        /// Wealth management products.
        Wealth = "wealth",
        /// Payment services.
        Payment = "payment",
        /// Trusts.
        Trust = "trust",
        /// Everything else.
        Other = "other",
    }
}

text_enum! {
    /// Whether a product is on offer.
    pub enum ProductStatus {
        /// Being prepared.
        Draft = "draft",
        /// On offer.
        Active = "active",
        /// No longer offered; its accounts go on.
        Retired = "retired",
    }
}

text_enum! {
    /// What a rate is a rate of.
    pub enum RateKind {
        /// Interest paid on deposits, a year.
        Deposit = "deposit",
        /// Interest charged on loans, a year.
        Lending = "lending",
        /// Interest charged on arrears, a year.
        Overdue = "overdue",
        /// Management or custody fee, a year.
        Fee = "fee",
        /// Commission on a sale.
        Commission = "commission",
        /// Expected return, a year.
        Return = "return",
    }
}
