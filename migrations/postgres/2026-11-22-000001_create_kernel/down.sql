DROP TABLE jobs;
DROP TABLE access_log;
DROP TABLE event_heads;
DROP TABLE events;
