-- From where credentials were used, and what became of it: requests that are alike are one row. It is written aside, as the
-- use of entries is. A network of more than one address stands there only where there were too many addresses.

CREATE TABLE traffic (
    credential INTEGER NOT NULL REFERENCES credential (pk) ON DELETE CASCADE,
    network    TEXT    NOT NULL,
    outcome    TEXT    NOT NULL CHECK (outcome IN ('allow', 'would_deny', 'deny')),
    code       TEXT    NOT NULL,
    route      TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (credential, network, outcome, code, route)
) STRICT, WITHOUT ROWID;

-- Since when all of it has been remembered; no row while nobody does.
CREATE TABLE recording (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    since    INTEGER NOT NULL
) STRICT;

-- Whoever turns lists on looks for those that only report, time and again.
CREATE INDEX credential_reporting ON credential (organization, pk) WHERE enforcement = 'report';
