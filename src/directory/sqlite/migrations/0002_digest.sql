-- HA1s of private keys (RFC 7616 §3.4.2), made where Digest is on. Each is as good as a password for its realm.

CREATE TABLE ha1 (
    credential INTEGER NOT NULL,
    secret     TEXT    NOT NULL,
    realm      TEXT    NOT NULL,
    sha256     BLOB    NOT NULL CHECK (length(sha256) = 32),
    md5        BLOB    NOT NULL CHECK (length(md5) = 16),
    PRIMARY KEY (credential, secret),
    FOREIGN KEY (credential, secret) REFERENCES secret (credential, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
