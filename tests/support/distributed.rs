//! A stand-in for Citus on a plain PostgreSQL: two functions of its names that write down what was asked of them and refuse
//! what Citus refuses. The schema is then that of a distributed database, on one machine.

use diesel::{Connection, PgConnection, connection::SimpleConnection};
use kehu_kernel::store::distributed;

/// Its functions.
pub const STAND_IN: &str = r"
CREATE SCHEMA citus_stand_in;
CREATE TABLE citus_stand_in.tables (name text PRIMARY KEY, distribution_column text, root text);

-- Every unique key of a spread table holds the column by which it is spread; keys to other tables do not exist yet.
CREATE FUNCTION citus_stand_in.check_table(asked regclass, wanted text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE place smallint; fault text;
BEGIN
    IF EXISTS (SELECT 1 FROM citus_stand_in.tables WHERE name = asked::text) THEN
        RAISE EXCEPTION 'table % is distributed already', asked;
    END IF;
    SELECT k.conname INTO fault FROM pg_constraint k WHERE k.contype = 'f' AND asked IN (k.conrelid, k.confrelid);
    IF fault IS NOT NULL THEN RAISE EXCEPTION 'cannot move % while there is the foreign key %', asked, fault; END IF;
    IF wanted IS NULL THEN RETURN; END IF;
    SELECT a.attnum INTO place FROM pg_attribute a WHERE a.attrelid = asked AND a.attname = wanted AND a.attnotnull;
    IF place IS NULL THEN RAISE EXCEPTION 'column % of % does not exist or may be null', wanted, asked; END IF;
    SELECT i.indexrelid::regclass::text INTO fault FROM pg_index i
     WHERE i.indrelid = asked AND (i.indisunique OR i.indisexclusion) AND NOT place = ANY (i.indkey);
    IF fault IS NOT NULL THEN RAISE EXCEPTION 'cannot create constraint % on %: it lacks %', fault, asked, wanted; END IF;
END $$;

CREATE FUNCTION citus_stand_in.keep_value() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'modifying the partition value of rows is not allowed: %', TG_TABLE_NAME;
END $$;

CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM citus_stand_in.check_table(table_name, NULL);
    INSERT INTO citus_stand_in.tables VALUES (table_name::text, NULL, NULL);
END $$;

CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text, colocate_with text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM citus_stand_in.check_table(table_name, distribution_column);
    IF colocate_with <> 'none' AND NOT EXISTS (SELECT 1 FROM citus_stand_in.tables WHERE name = colocate_with) THEN
        RAISE EXCEPTION '% is not distributed', colocate_with;
    END IF;
    INSERT INTO citus_stand_in.tables
        VALUES (table_name::text, distribution_column, CASE colocate_with WHEN 'none' THEN table_name::text ELSE colocate_with END);
    -- Even to the value that it has.
    EXECUTE format('CREATE TRIGGER keep_value BEFORE UPDATE OF %I ON %s FOR EACH ROW
        EXECUTE FUNCTION citus_stand_in.keep_value()', distribution_column, table_name);
END $$;
";

/// Gives a migrated database the schema of a distributed one.
pub fn distribute(url: &str) {
    PgConnection::establish(url).unwrap().batch_execute(STAND_IN).unwrap();
    let applied = distributed::apply(url).unwrap();
    assert_eq!(applied, distributed::statements().count());
}
