-- Tokens of service accounts that have not ended yet, and the keys that sign them.

-- `id` is the `jti`. A token goes with the secret that it was made from.
CREATE TABLE token (
    id         BLOB    PRIMARY KEY CHECK (length(id) = 16),
    credential INTEGER NOT NULL,
    secret     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    FOREIGN KEY (credential, secret) REFERENCES client_secret (credential, secret) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX token_of_credential ON token (credential, secret, expires_at);

-- Private keys (PKCS #8, P-256). A key is published from when it is made, and signs from `signs_from` until the next one does.
CREATE TABLE signing_key (
    id         TEXT    PRIMARY KEY,
    pkcs8      BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
