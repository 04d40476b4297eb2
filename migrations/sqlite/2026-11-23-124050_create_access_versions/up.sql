-- Counts the transactions after which somebody's rights may be others, so that servers know what they remember of old ones.
CREATE TABLE access_versions (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO access_versions (id, version) VALUES (1, 0);
