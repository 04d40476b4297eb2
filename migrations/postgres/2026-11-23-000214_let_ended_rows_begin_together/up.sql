-- Records that become one may both have begun the same link or relation on the same day, where one of the two has ended.
DROP INDEX account_links_key;
CREATE UNIQUE INDEX account_links_open_key ON account_links (account_id, customer_id, role, valid_from) WHERE valid_to IS NULL;
CREATE INDEX account_links_account ON account_links (account_id, customer_id);
DROP INDEX relations_key;
CREATE UNIQUE INDEX relations_open_key ON relations (customer_id, related_customer_id, relation_type, valid_from)
    WHERE valid_to IS NULL;
CREATE INDEX relations_customer ON relations (customer_id, related_customer_id);
