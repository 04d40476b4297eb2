DROP TABLE login_places;
DROP TABLE rate_buckets;
