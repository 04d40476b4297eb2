//! Names of what can be done, how far a role reaches, and how sensitive a field is.

crate::text_enum! {
    /// Something that a role can grant. The name is `<resource>.<verb>`.
    pub enum Action {
        /// Read branches.
        BranchRead = "branch.read",
        /// Create, change and move branches.
        BranchManage = "branch.manage",
        /// Read staff and teams.
        StaffRead = "staff.read",
        /// Create, change and deactivate staff and teams.
        StaffManage = "staff.manage",
        /// Read roles.
        RoleRead = "role.read",
        /// Create and change roles.
        RoleManage = "role.manage",
        /// Read who looks after which customer.
        AssignmentRead = "assignment.read",
        /// Assign staff to customers.
        AssignmentManage = "assignment.manage",
        /// Ask why access is granted or refused to somebody else.
        AccessExplain = "access.explain",
        /// Read customers with all that belongs to them, in the field classes of the role.
        CustomerRead = "customer.read",
        /// Create and change customers and what belongs to them.
        CustomerWrite = "customer.write",
        /// See an identity or account number in full; audited.
        CustomerReveal = "customer.reveal",
        /// Find records of the same customer, see why, and decide that they are not.
        CustomerMatch = "customer.match",
        /// Merge records of the same customer, and take a merge back.
        CustomerMerge = "customer.merge",
        /// Compare the whole base, and estimate what comparisons weigh.
        MatchManage = "match.manage",
        /// Record what a customer has consented to.
        ConsentWrite = "consent.write",
        /// Keep the library of tags and the definitions of custom attributes.
        TagManage = "tag.manage",
        /// Export and erase all that is held about a customer, and place legal holds.
        PrivacyManage = "privacy.manage",
        /// Read the products of the bank.
        ProductRead = "product.read",
        /// Create and change products and their rates.
        ProductManage = "product.manage",
        /// Read accounts, balances, transactions and links.
        AccountRead = "account.read",
        /// Create and change accounts (a mirror of the bank's systems).
        AccountWrite = "account.write",
        /// Create, change, transfer and end links between customers and accounts.
        AccountLinkWrite = "account_link.write",
        /// Feed transactions.
        TransactionIngest = "transaction.ingest",
        /// Read groups of customers and evaluations of their segmentation; of members those that may be read.
        GroupRead = "group.read",
        /// Create, change, close, split and merge groups of customers, and evaluate it.
        GroupManage = "group.manage",
        /// Read source systems, mappings and imports.
        ImportRead = "import.read",
        /// Define source systems and mappings, run, replay and revert imports.
        ImportManage = "import.manage",
        /// Take lists that may be read out as files; with depth `all`, see and stop those of others too.
        ExportCreate = "export.create",
        /// Read and cancel background jobs.
        JobManage = "job.manage",
        /// Manage machine clients and their secrets.
        ClientManage = "client.manage",
        /// Read the change feed.
        EventRead = "event.read",
        /// Have events posted to addresses of one's own; with depth `all`, see and stop the endpoints of others too.
        WebhookManage = "webhook.manage",
        /// Read the access log and verify the audit chain.
        AuditRead = "audit.read",
    }
}

crate::text_enum! {
    /// How far a grant reaches, from narrow to wide.
    pub enum Depth {
        /// What is assigned to the person; for a customer, the customer itself.
        Own = "own",
        /// What is assigned to the person's teams.
        Team = "team",
        /// What the person's branch keeps.
        Unit = "unit",
        /// What the person's branch and those below it keep.
        UnitAndBelow = "unit_and_below",
        /// Everything.
        All = "all",
    }
}

crate::text_enum! {
    /// How sensitive a field is.
    pub enum FieldClass {
        /// Names, numbers, states.
        Public = "public",
        /// Contact data, products, balances.
        Internal = "internal",
        /// Income, family, health, personality; read only with a purpose.
        Sensitive = "sensitive",
        /// Identity and account numbers in full.
        Secret = "secret",
    }
}
