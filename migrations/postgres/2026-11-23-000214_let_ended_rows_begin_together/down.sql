DROP INDEX relations_customer;
DROP INDEX relations_open_key;
CREATE UNIQUE INDEX relations_key ON relations (customer_id, related_customer_id, relation_type, valid_from);
DROP INDEX account_links_account;
DROP INDEX account_links_open_key;
CREATE UNIQUE INDEX account_links_key ON account_links (account_id, customer_id, role, valid_from);
