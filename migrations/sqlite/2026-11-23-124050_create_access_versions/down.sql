DROP TABLE access_versions;
