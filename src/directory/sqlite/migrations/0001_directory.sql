-- Organizations, projects, API keys, access lists and the record of changes.
--
-- Times are seconds since 1970 (UTC). Ids are 24 lowercase hexadecimal characters. `revision` is the one that wrote the row.

CREATE TABLE revision (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number   INTEGER NOT NULL
) STRICT;
INSERT INTO revision VALUES (1, 1);

CREATE TABLE organization (
    pk               INTEGER PRIMARY KEY,
    id               TEXT    NOT NULL UNIQUE,
    name             TEXT    NOT NULL,
    access_list_mode TEXT    NOT NULL CHECK (access_list_mode IN ('off', 'report', 'required')),
    created_at       INTEGER NOT NULL,
    revision         INTEGER NOT NULL
) STRICT;

CREATE TABLE project (
    pk           INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    organization INTEGER NOT NULL REFERENCES organization (pk) ON DELETE RESTRICT,
    name         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    UNIQUE (organization, name)
) STRICT;

CREATE TABLE credential (
    pk           INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    organization INTEGER NOT NULL REFERENCES organization (pk) ON DELETE RESTRICT,
    kind         TEXT    NOT NULL CHECK (kind IN ('API_KEY', 'SERVICE_ACCOUNT')),
    name         TEXT    NOT NULL,
    public_key   TEXT    UNIQUE,
    enabled      INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    expires_at   INTEGER,
    enforcement  TEXT    NOT NULL CHECK (enforcement IN ('enforce', 'report')),
    created_at   INTEGER NOT NULL,
    revision     INTEGER NOT NULL
) STRICT;
CREATE INDEX credential_of_organization ON credential (organization, kind, pk);

-- What proves a credential: the SHA-256 of the whole key, and what may be shown of it.
CREATE TABLE secret (
    credential INTEGER NOT NULL REFERENCES credential (pk) ON DELETE CASCADE,
    id         TEXT    NOT NULL,
    sha256     BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
    shown      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (credential, id)
) STRICT, WITHOUT ROWID;

-- `project` is the id of a project, or empty for a role on the organization.
CREATE TABLE role (
    credential INTEGER NOT NULL REFERENCES credential (pk) ON DELETE CASCADE,
    project    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    PRIMARY KEY (credential, project, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX role_of_project ON role (project, credential) WHERE project <> '';

-- `network` is a CIDR block without host bits, in its one canonical spelling.
CREATE TABLE entry (
    credential INTEGER NOT NULL REFERENCES credential (pk) ON DELETE CASCADE,
    network    TEXT    NOT NULL,
    comment    TEXT,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (credential, network)
) STRICT, WITHOUT ROWID;

-- The record of changes. It refers to nothing: what it tells of may be gone.
CREATE TABLE event (
    pk                INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL UNIQUE,
    type              TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    organization      TEXT    NOT NULL,
    project           TEXT,
    actor_kind        TEXT    NOT NULL,
    actor_id          TEXT,
    actor_name        TEXT    NOT NULL,
    remote_address    TEXT,
    target            TEXT,
    target_public_key TEXT,
    entry             TEXT,
    detail            TEXT
) STRICT;
CREATE INDEX event_of_organization ON event (organization, pk);
CREATE INDEX event_of_project ON event (project, pk) WHERE project IS NOT NULL;
