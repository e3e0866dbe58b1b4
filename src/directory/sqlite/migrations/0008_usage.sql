-- What is remembered of the use of credentials and entries. It is written aside: nothing is decided by it, and it makes no
-- revision. A denied request counts nothing; it is the last denial alone.

CREATE TABLE credential_use (
    credential        INTEGER PRIMARY KEY REFERENCES credential (pk) ON DELETE CASCADE,
    last_used         INTEGER,
    last_used_address TEXT,
    denied_at         INTEGER,
    denied_code       TEXT,
    denied_address    TEXT,
    denied_enforced   INTEGER CHECK (denied_enforced IN (0, 1))
) STRICT;

-- The last use from each of the last addresses, a few of each credential; the last has the greatest `place`.
CREATE TABLE recent_address (
    credential INTEGER NOT NULL REFERENCES credential (pk) ON DELETE CASCADE,
    address    TEXT    NOT NULL,
    last_used  INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    PRIMARY KEY (credential, address)
) STRICT, WITHOUT ROWID;

-- An entry is known by what stands in `entry.network`. One that is made again begins anew.
CREATE TABLE entry_use (
    credential        INTEGER NOT NULL,
    network           TEXT    NOT NULL,
    count             INTEGER NOT NULL,
    last_used         INTEGER NOT NULL,
    last_used_address TEXT    NOT NULL,
    PRIMARY KEY (credential, network),
    FOREIGN KEY (credential, network) REFERENCES entry (credential, network) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
