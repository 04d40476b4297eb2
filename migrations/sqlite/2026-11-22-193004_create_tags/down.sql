DROP TABLE customer_tags;
DROP TABLE tags;
DROP TABLE tag_domains;
