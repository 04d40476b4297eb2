-- What a customer is found by: words, characters and sounds of its names, its number. Derived from the customer.
CREATE TABLE customer_tokens (
    token text NOT NULL,
    customer_id uuid NOT NULL REFERENCES customers (id),
    PRIMARY KEY (token, customer_id)
);
CREATE INDEX customer_tokens_customer ON customer_tokens (customer_id);
