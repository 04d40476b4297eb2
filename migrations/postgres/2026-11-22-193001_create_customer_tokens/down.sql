ALTER TABLE customers ALTER COLUMN number TYPE text COLLATE "default";
DROP TABLE customer_tokens;
