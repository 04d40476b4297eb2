DROP TABLE import_row_customers;
DROP TABLE duplicate_allowances;
DROP INDEX attribute_history_owners;
DROP INDEX customers_erased;
