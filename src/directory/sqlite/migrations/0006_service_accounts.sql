-- What service accounts have besides other credentials, and how long their secrets may last.

ALTER TABLE organization ADD COLUMN secret_hours INTEGER NOT NULL DEFAULT 8760 CHECK (secret_hours BETWEEN 8 AND 8760);

-- `issuer` and `subject` are those of foreign tokens that speak for the account.
CREATE TABLE service_account (
    credential  INTEGER PRIMARY KEY REFERENCES credential (pk) ON DELETE CASCADE,
    description TEXT    NOT NULL,
    issuer      TEXT,
    subject     TEXT,
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    UNIQUE (issuer, subject)
) STRICT;

-- A secret of a service account is exchanged for tokens and never presented to the gateway: `secret.sha256` of it is not
-- what the account is found by.
CREATE TABLE client_secret (
    credential   INTEGER NOT NULL,
    secret       TEXT    NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (credential, secret),
    FOREIGN KEY (credential, secret) REFERENCES secret (credential, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
