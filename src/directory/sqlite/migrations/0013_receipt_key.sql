-- What receipts of refusals are sealed with where the configuration names no key.
CREATE TABLE receipt_key (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    secret     BLOB    NOT NULL CHECK (length(secret) = 32),
    created_at INTEGER NOT NULL
) STRICT;
