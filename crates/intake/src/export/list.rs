//! Which lists can be taken out as files.

use kehu_kernel::text_enum;

text_enum! {
    /// A list that can be exported, by the name of its operation.
    pub enum ExportList {
        /// As "Get a customer's access log".
        GetCustomerAccessLog = "get_customer_access_log",
        /// As "Get a customer's history".
        GetCustomerHistory = "get_customer_history",
        /// As "Get a customer's timeline".
        GetCustomerTimeline = "get_customer_timeline",
        /// As "List balances".
        ListAccountBalances = "list_account_balances",
        /// As "List the customers of an account".
        ListAccountCustomers = "list_account_customers",
        /// As "List due dates of accounts".
        ListAccountDueDates = "list_account_due_dates",
        /// As "List account links".
        ListAccountLinks = "list_account_links",
        /// As "List transactions".
        ListAccountTransactions = "list_account_transactions",
        /// As "List accounts".
        ListAccounts = "list_accounts",
        /// As "List assignments".
        ListAssignments = "list_assignments",
        /// As "List attribute definitions".
        ListAttributeDefinitions = "list_attribute_definitions",
        /// As "List branches".
        ListBranches = "list_branches",
        /// As "List machine clients".
        ListClients = "list_clients",
        /// As "List a contact person's relations".
        ListContactPersonRelations = "list_contact_person_relations",
        /// As "List contact persons".
        ListContactPersons = "list_contact_persons",
        /// As "List a customer's consents".
        ListCustomerConsents = "list_customer_consents",
        /// As "List a customer's contact persons".
        ListCustomerContactPersons = "list_customer_contact_persons",
        /// As "List a customer's contact points".
        ListCustomerContactPoints = "list_customer_contact_points",
        /// As "List a customer's identities".
        ListCustomerIdentities = "list_customer_identities",
        /// As "List a customer's relations".
        ListCustomerRelations = "list_customer_relations",
        /// As "List a customer's source records".
        ListCustomerSourceRecords = "list_customer_source_records",
        /// As "List a customer's tags".
        ListCustomerTags = "list_customer_tags",
        /// As "List customers".
        ListCustomers = "list_customers",
        /// As "List doubtful profiles".
        ListDoubtfulProfiles = "list_doubtful_profiles",
        /// As "List employments".
        ListEmployments = "list_employments",
        /// As "List the members of a group".
        ListGroupMembers = "list_group_members",
        /// As "List groups".
        ListGroups = "list_groups",
        /// As "List the errors of an import".
        ListImportErrors = "list_import_errors",
        /// As "List imports".
        ListImports = "list_imports",
        /// As "List jobs".
        ListJobs = "list_jobs",
        /// As "List the legal holds of a customer".
        ListLegalHolds = "list_legal_holds",
        /// As "List mappings".
        ListMappings = "list_mappings",
        /// As "List match candidates".
        ListMatchCandidates = "list_match_candidates",
        /// As "List match parameters".
        ListMatchParameters = "list_match_parameters",
        /// As "List merges".
        ListMerges = "list_merges",
        /// As "List the exports of a customer".
        ListPrivacyExports = "list_privacy_exports",
        /// As "List products".
        ListProducts = "list_products",
        /// As "List roles".
        ListRoles = "list_roles",
        /// As "List segmentation evaluations".
        ListSegmentationEvaluations = "list_segmentation_evaluations",
        /// As "List source systems".
        ListSourceSystems = "list_source_systems",
        /// As "List staff".
        ListStaff = "list_staff",
        /// As "List standing orders".
        ListStandingOrders = "list_standing_orders",
        /// As "List tag domains".
        ListTagDomains = "list_tag_domains",
        /// As "List tags".
        ListTags = "list_tags",
        /// As "List teams".
        ListTeams = "list_teams",
        /// As "List webhook deliveries".
        ListWebhookDeliveries = "list_webhook_deliveries",
        /// As "List webhook endpoints".
        ListWebhookEndpoints = "list_webhook_endpoints",
        /// As "Search customers".
        SearchCustomers = "search_customers",
    }
}
