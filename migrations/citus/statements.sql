-- What `kehu migrate --distributed citus` does after the migrations; README.md beside this says why. Each statement is
-- carried out once, in its own transaction, and remembered by its text: one that was carried out is never changed, new
-- ones stand behind those of their part. A test holds all of it against the catalogue of a migrated database.

-- 1. Foreign keys go while tables move, but for those between tables that stay where they are.

ALTER TABLE branches DROP CONSTRAINT branches_parent_id_fkey;
ALTER TABLE branch_moves DROP CONSTRAINT branch_moves_branch_id_fkey;
ALTER TABLE branch_moves DROP CONSTRAINT branch_moves_from_parent_id_fkey;
ALTER TABLE branch_moves DROP CONSTRAINT branch_moves_to_parent_id_fkey;
ALTER TABLE staff DROP CONSTRAINT staff_branch_id_fkey;
ALTER TABLE teams DROP CONSTRAINT teams_branch_id_fkey;
ALTER TABLE team_members DROP CONSTRAINT team_members_staff_id_fkey;
ALTER TABLE team_members DROP CONSTRAINT team_members_team_id_fkey;
ALTER TABLE customers DROP CONSTRAINT customers_home_branch_id_fkey;
ALTER TABLE customers DROP CONSTRAINT customers_merged_into_fkey;
ALTER TABLE customers DROP CONSTRAINT customers_owner_id_fkey;
ALTER TABLE personal_profiles DROP CONSTRAINT personal_profiles_customer_id_fkey;
ALTER TABLE organisation_profiles DROP CONSTRAINT organisation_profiles_customer_id_fkey;
ALTER TABLE identities DROP CONSTRAINT identities_customer_id_fkey;
ALTER TABLE contact_points DROP CONSTRAINT contact_points_customer_id_fkey;
ALTER TABLE customer_transitions DROP CONSTRAINT customer_transitions_customer_id_fkey;
ALTER TABLE attribute_history DROP CONSTRAINT attribute_history_customer_id_fkey;
ALTER TABLE source_records DROP CONSTRAINT source_records_customer_id_fkey;
ALTER TABLE relations DROP CONSTRAINT relations_customer_id_fkey;
ALTER TABLE relations DROP CONSTRAINT relations_related_customer_id_fkey;
ALTER TABLE assignments DROP CONSTRAINT assignments_customer_id_fkey;
ALTER TABLE assignments DROP CONSTRAINT assignments_staff_id_fkey;
ALTER TABLE product_rates DROP CONSTRAINT product_rates_product_id_fkey;
ALTER TABLE accounts DROP CONSTRAINT accounts_branch_id_fkey;
ALTER TABLE accounts DROP CONSTRAINT accounts_parent_account_id_fkey;
ALTER TABLE accounts DROP CONSTRAINT accounts_product_id_fkey;
ALTER TABLE deposits DROP CONSTRAINT deposits_account_id_fkey;
ALTER TABLE loans DROP CONSTRAINT loans_account_id_fkey;
ALTER TABLE cards DROP CONSTRAINT cards_account_id_fkey;
ALTER TABLE holdings DROP CONSTRAINT holdings_account_id_fkey;
ALTER TABLE standing_orders DROP CONSTRAINT standing_orders_account_id_fkey;
ALTER TABLE account_balances DROP CONSTRAINT account_balances_account_id_fkey;
ALTER TABLE account_links DROP CONSTRAINT account_links_account_id_fkey;
ALTER TABLE account_links DROP CONSTRAINT account_links_customer_id_fkey;
ALTER TABLE transactions DROP CONSTRAINT transactions_account_id_fkey;
ALTER TABLE account_daily_totals DROP CONSTRAINT account_daily_totals_account_id_fkey;
ALTER TABLE account_monthly_totals DROP CONSTRAINT account_monthly_totals_account_id_fkey;
ALTER TABLE clients DROP CONSTRAINT clients_branch_id_fkey;
ALTER TABLE customer_tokens DROP CONSTRAINT customer_tokens_customer_id_fkey;
ALTER TABLE match_keys DROP CONSTRAINT match_keys_customer_id_fkey;
ALTER TABLE match_candidates DROP CONSTRAINT match_candidates_left_id_fkey;
ALTER TABLE match_candidates DROP CONSTRAINT match_candidates_right_id_fkey;
ALTER TABLE merges DROP CONSTRAINT merges_survivor_id_fkey;
ALTER TABLE merge_members DROP CONSTRAINT merge_members_customer_id_fkey;
ALTER TABLE merge_members DROP CONSTRAINT merge_members_merge_id_fkey;
ALTER TABLE merge_rows DROP CONSTRAINT merge_rows_customer_id_fkey;
ALTER TABLE merge_rows DROP CONSTRAINT merge_rows_merge_id_fkey;
ALTER TABLE tags DROP CONSTRAINT tags_tag_domain_id_fkey;
ALTER TABLE customer_tags DROP CONSTRAINT customer_tags_customer_id_fkey;
ALTER TABLE customer_tags DROP CONSTRAINT customer_tags_tag_id_fkey;
ALTER TABLE consents DROP CONSTRAINT consents_customer_id_fkey;
ALTER TABLE custom_attributes DROP CONSTRAINT custom_attributes_attribute_definition_id_fkey;
ALTER TABLE custom_attributes DROP CONSTRAINT custom_attributes_customer_id_fkey;
ALTER TABLE contact_persons DROP CONSTRAINT contact_persons_home_branch_id_fkey;
ALTER TABLE contact_persons DROP CONSTRAINT contact_persons_person_customer_id_fkey;
ALTER TABLE employments DROP CONSTRAINT employments_contact_person_id_fkey;
ALTER TABLE employments DROP CONSTRAINT employments_customer_id_fkey;
ALTER TABLE contact_person_relations DROP CONSTRAINT contact_person_relations_contact_person_id_fkey;
ALTER TABLE contact_person_relations DROP CONSTRAINT contact_person_relations_related_contact_person_id_fkey;
ALTER TABLE legal_holds DROP CONSTRAINT legal_holds_customer_id_fkey;
ALTER TABLE privacy_exports DROP CONSTRAINT privacy_exports_customer_id_fkey;
ALTER TABLE duplicate_allowances DROP CONSTRAINT duplicate_allowances_customer_id_fkey;
ALTER TABLE match_changes DROP CONSTRAINT match_changes_customer_id_fkey;
ALTER TABLE groups DROP CONSTRAINT groups_owner_id_fkey;
ALTER TABLE group_parents DROP CONSTRAINT group_parents_group_id_fkey;
ALTER TABLE group_parents DROP CONSTRAINT group_parents_parent_id_fkey;
ALTER TABLE group_staff DROP CONSTRAINT group_staff_group_id_fkey;
ALTER TABLE group_staff DROP CONSTRAINT group_staff_staff_id_fkey;
ALTER TABLE group_members DROP CONSTRAINT group_members_customer_id_fkey;
ALTER TABLE group_members DROP CONSTRAINT group_members_group_id_fkey;
ALTER TABLE segmentation_evaluations DROP CONSTRAINT segmentation_evaluations_forecast_id_fkey;
ALTER TABLE group_lineages DROP CONSTRAINT group_lineages_evaluation_id_fkey;
ALTER TABLE group_lineage_groups DROP CONSTRAINT group_lineage_groups_group_id_fkey;
ALTER TABLE group_lineage_groups DROP CONSTRAINT group_lineage_groups_lineage_id_fkey;

-- 2. Keys hold the column by which their table is spread. It stands behind, so that what asks by id alone has an index.

ALTER TABLE identities DROP CONSTRAINT identities_pkey;
ALTER TABLE identities ADD CONSTRAINT identities_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE contact_points DROP CONSTRAINT contact_points_pkey;
ALTER TABLE contact_points ADD CONSTRAINT contact_points_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE customer_transitions DROP CONSTRAINT customer_transitions_pkey;
ALTER TABLE customer_transitions ADD CONSTRAINT customer_transitions_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE attribute_history DROP CONSTRAINT attribute_history_pkey;
ALTER TABLE attribute_history ADD CONSTRAINT attribute_history_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE source_records DROP CONSTRAINT source_records_pkey;
ALTER TABLE source_records ADD CONSTRAINT source_records_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE relations DROP CONSTRAINT relations_pkey;
ALTER TABLE relations ADD CONSTRAINT relations_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE assignments DROP CONSTRAINT assignments_pkey;
ALTER TABLE assignments ADD CONSTRAINT assignments_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE standing_orders DROP CONSTRAINT standing_orders_pkey;
ALTER TABLE standing_orders ADD CONSTRAINT standing_orders_pkey PRIMARY KEY (id, account_id);
ALTER TABLE account_links DROP CONSTRAINT account_links_pkey;
ALTER TABLE account_links ADD CONSTRAINT account_links_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE transactions DROP CONSTRAINT transactions_pkey;
ALTER TABLE transactions ADD CONSTRAINT transactions_pkey PRIMARY KEY (id, account_id);
ALTER TABLE merge_rows DROP CONSTRAINT merge_rows_pkey;
ALTER TABLE merge_rows ADD CONSTRAINT merge_rows_pkey PRIMARY KEY (merge_id, table_name, column_name, row_id, customer_id);
ALTER TABLE customer_tags DROP CONSTRAINT customer_tags_pkey;
ALTER TABLE customer_tags ADD CONSTRAINT customer_tags_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE consents DROP CONSTRAINT consents_pkey;
ALTER TABLE consents ADD CONSTRAINT consents_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE custom_attributes DROP CONSTRAINT custom_attributes_pkey;
ALTER TABLE custom_attributes ADD CONSTRAINT custom_attributes_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE employments DROP CONSTRAINT employments_pkey;
ALTER TABLE employments ADD CONSTRAINT employments_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE legal_holds DROP CONSTRAINT legal_holds_pkey;
ALTER TABLE legal_holds ADD CONSTRAINT legal_holds_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE privacy_exports DROP CONSTRAINT privacy_exports_pkey;
ALTER TABLE privacy_exports ADD CONSTRAINT privacy_exports_pkey PRIMARY KEY (id, customer_id);
ALTER TABLE group_members DROP CONSTRAINT group_members_pkey;
ALTER TABLE group_members ADD CONSTRAINT group_members_pkey PRIMARY KEY (id, customer_id);

-- Unique keys without that column: README.md says what answers each.

DROP INDEX events_position_key;
CREATE INDEX events_position ON events (position);
DROP INDEX customers_number_key;
CREATE INDEX customers_number ON customers (number);
DROP INDEX source_records_source_key;
CREATE UNIQUE INDEX source_records_customer_source_key ON source_records (source_id, source_system, customer_id);
DROP INDEX accounts_number_key;
CREATE INDEX accounts_number ON accounts (number_index, source_system);
DROP INDEX standing_orders_source_key;
CREATE UNIQUE INDEX standing_orders_account_source_key ON standing_orders (source_id, source_system, account_id);
DROP INDEX account_links_source_key;
CREATE UNIQUE INDEX account_links_customer_source_key ON account_links (source_id, source_system, customer_id);
DROP INDEX transactions_source_key;
CREATE UNIQUE INDEX transactions_account_source_key ON transactions (source_id, source_system, account_id);

-- The directory of keys that no single shard can hold: whoever is about to look for one and to write it waits here for others.

CREATE TABLE held_keys (key bytea PRIMARY KEY, holds bigint NOT NULL DEFAULT 1);

-- 3. Small tables are copied to every node.

SELECT create_reference_table('branches');
SELECT create_reference_table('branch_moves');
SELECT create_reference_table('staff');
SELECT create_reference_table('teams');
SELECT create_reference_table('team_members');
SELECT create_reference_table('roles');
SELECT create_reference_table('clients');
SELECT create_reference_table('products');
SELECT create_reference_table('product_rates');
SELECT create_reference_table('tag_domains');
SELECT create_reference_table('tags');
SELECT create_reference_table('attribute_definitions');
SELECT create_reference_table('match_parameters');
SELECT create_reference_table('contact_persons');
SELECT create_reference_table('contact_person_relations');
SELECT create_reference_table('merges');
SELECT create_reference_table('merge_members');
SELECT create_reference_table('match_candidates');
SELECT create_reference_table('groups');
SELECT create_reference_table('group_parents');
SELECT create_reference_table('group_staff');
SELECT create_reference_table('segmentation_evaluations');
SELECT create_reference_table('group_lineages');
SELECT create_reference_table('group_lineage_groups');

-- 4. What belongs to a customer lies beside the customer, what belongs to an account beside the account.

SELECT create_distributed_table('customers', 'id', colocate_with => 'none');
SELECT create_distributed_table('personal_profiles', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('organisation_profiles', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('identities', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('contact_points', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('customer_transitions', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('attribute_history', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('source_records', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('relations', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('assignments', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('customer_tokens', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('match_changes', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('customer_tags', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('consents', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('custom_attributes', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('employments', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('legal_holds', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('privacy_exports', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('duplicate_allowances', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('account_links', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('merge_rows', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('group_members', 'customer_id', colocate_with => 'customers');
SELECT create_distributed_table('accounts', 'id', colocate_with => 'none');
SELECT create_distributed_table('deposits', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('loans', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('cards', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('holdings', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('standing_orders', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('account_balances', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('transactions', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('account_daily_totals', 'account_id', colocate_with => 'accounts');
SELECT create_distributed_table('account_monthly_totals', 'account_id', colocate_with => 'accounts');

-- 5. Tables that are spread by a key of their own.

SELECT create_distributed_table('match_keys', 'key', colocate_with => 'none');
SELECT create_distributed_table('events', 'id', colocate_with => 'none');
SELECT create_distributed_table('access_log', 'id', colocate_with => 'none');
SELECT create_distributed_table('idempotency_keys', 'key_hash', colocate_with => 'none');
SELECT create_distributed_table('held_keys', 'key', colocate_with => 'none');

-- 6. Foreign keys within a family, and to small tables.

ALTER TABLE branches ADD CONSTRAINT branches_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES branches (id);
ALTER TABLE branch_moves ADD CONSTRAINT branch_moves_branch_id_fkey FOREIGN KEY (branch_id) REFERENCES branches (id);
ALTER TABLE branch_moves ADD CONSTRAINT branch_moves_from_parent_id_fkey FOREIGN KEY (from_parent_id) REFERENCES branches (id);
ALTER TABLE branch_moves ADD CONSTRAINT branch_moves_to_parent_id_fkey FOREIGN KEY (to_parent_id) REFERENCES branches (id);
ALTER TABLE staff ADD CONSTRAINT staff_branch_id_fkey FOREIGN KEY (branch_id) REFERENCES branches (id);
ALTER TABLE teams ADD CONSTRAINT teams_branch_id_fkey FOREIGN KEY (branch_id) REFERENCES branches (id);
ALTER TABLE team_members ADD CONSTRAINT team_members_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id);
ALTER TABLE team_members ADD CONSTRAINT team_members_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams (id);
ALTER TABLE customers ADD CONSTRAINT customers_home_branch_id_fkey FOREIGN KEY (home_branch_id) REFERENCES branches (id);
ALTER TABLE customers ADD CONSTRAINT customers_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES staff (id);
ALTER TABLE personal_profiles ADD CONSTRAINT personal_profiles_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE organisation_profiles ADD CONSTRAINT organisation_profiles_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE identities ADD CONSTRAINT identities_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE contact_points ADD CONSTRAINT contact_points_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE customer_transitions ADD CONSTRAINT customer_transitions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE attribute_history ADD CONSTRAINT attribute_history_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE source_records ADD CONSTRAINT source_records_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE relations ADD CONSTRAINT relations_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE assignments ADD CONSTRAINT assignments_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE assignments ADD CONSTRAINT assignments_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id);
ALTER TABLE product_rates ADD CONSTRAINT product_rates_product_id_fkey FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE accounts ADD CONSTRAINT accounts_branch_id_fkey FOREIGN KEY (branch_id) REFERENCES branches (id);
ALTER TABLE accounts ADD CONSTRAINT accounts_product_id_fkey FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE deposits ADD CONSTRAINT deposits_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE loans ADD CONSTRAINT loans_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE cards ADD CONSTRAINT cards_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE holdings ADD CONSTRAINT holdings_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE standing_orders ADD CONSTRAINT standing_orders_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE account_balances ADD CONSTRAINT account_balances_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE account_links ADD CONSTRAINT account_links_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE transactions ADD CONSTRAINT transactions_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE account_daily_totals ADD CONSTRAINT account_daily_totals_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE account_monthly_totals ADD CONSTRAINT account_monthly_totals_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE clients ADD CONSTRAINT clients_branch_id_fkey FOREIGN KEY (branch_id) REFERENCES branches (id);
ALTER TABLE customer_tokens ADD CONSTRAINT customer_tokens_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE merge_members ADD CONSTRAINT merge_members_merge_id_fkey FOREIGN KEY (merge_id) REFERENCES merges (id);
ALTER TABLE merge_rows ADD CONSTRAINT merge_rows_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE merge_rows ADD CONSTRAINT merge_rows_merge_id_fkey FOREIGN KEY (merge_id) REFERENCES merges (id);
ALTER TABLE tags ADD CONSTRAINT tags_tag_domain_id_fkey FOREIGN KEY (tag_domain_id) REFERENCES tag_domains (id);
ALTER TABLE customer_tags ADD CONSTRAINT customer_tags_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE customer_tags ADD CONSTRAINT customer_tags_tag_id_fkey FOREIGN KEY (tag_id) REFERENCES tags (id);
ALTER TABLE consents ADD CONSTRAINT consents_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE custom_attributes ADD CONSTRAINT custom_attributes_attribute_definition_id_fkey FOREIGN KEY (attribute_definition_id) REFERENCES attribute_definitions (id);
ALTER TABLE custom_attributes ADD CONSTRAINT custom_attributes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE contact_persons ADD CONSTRAINT contact_persons_home_branch_id_fkey FOREIGN KEY (home_branch_id) REFERENCES branches (id);
ALTER TABLE employments ADD CONSTRAINT employments_contact_person_id_fkey FOREIGN KEY (contact_person_id) REFERENCES contact_persons (id);
ALTER TABLE employments ADD CONSTRAINT employments_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE contact_person_relations ADD CONSTRAINT contact_person_relations_contact_person_id_fkey FOREIGN KEY (contact_person_id) REFERENCES contact_persons (id);
ALTER TABLE contact_person_relations ADD CONSTRAINT contact_person_relations_related_contact_person_id_fkey FOREIGN KEY (related_contact_person_id) REFERENCES contact_persons (id);
ALTER TABLE legal_holds ADD CONSTRAINT legal_holds_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE privacy_exports ADD CONSTRAINT privacy_exports_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE duplicate_allowances ADD CONSTRAINT duplicate_allowances_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE match_changes ADD CONSTRAINT match_changes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE groups ADD CONSTRAINT groups_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES staff (id);
ALTER TABLE group_parents ADD CONSTRAINT group_parents_group_id_fkey FOREIGN KEY (group_id) REFERENCES groups (id);
ALTER TABLE group_parents ADD CONSTRAINT group_parents_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES groups (id);
ALTER TABLE group_staff ADD CONSTRAINT group_staff_group_id_fkey FOREIGN KEY (group_id) REFERENCES groups (id);
ALTER TABLE group_staff ADD CONSTRAINT group_staff_staff_id_fkey FOREIGN KEY (staff_id) REFERENCES staff (id);
ALTER TABLE group_members ADD CONSTRAINT group_members_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE group_members ADD CONSTRAINT group_members_group_id_fkey FOREIGN KEY (group_id) REFERENCES groups (id);
ALTER TABLE segmentation_evaluations ADD CONSTRAINT segmentation_evaluations_forecast_id_fkey FOREIGN KEY (forecast_id) REFERENCES segmentation_evaluations (id);
ALTER TABLE group_lineages ADD CONSTRAINT group_lineages_evaluation_id_fkey FOREIGN KEY (evaluation_id) REFERENCES segmentation_evaluations (id);
ALTER TABLE group_lineage_groups ADD CONSTRAINT group_lineage_groups_group_id_fkey FOREIGN KEY (group_id) REFERENCES groups (id);
ALTER TABLE group_lineage_groups ADD CONSTRAINT group_lineage_groups_lineage_id_fkey FOREIGN KEY (lineage_id) REFERENCES group_lineages (id);
