-- People, what they may do, their sessions, and invitations. Tokens are kept as their SHA-256 alone.

-- `email_key` is the address in lower case; `password` a PHC string (argon2id).
CREATE TABLE person (
    pk           INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    email        TEXT    NOT NULL,
    email_key    TEXT    NOT NULL UNIQUE,
    password     TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_sign_in INTEGER,
    revision     INTEGER NOT NULL
) STRICT;

-- `project` is the id of a project, or empty for a role on the organization.
CREATE TABLE person_role (
    person       INTEGER NOT NULL REFERENCES person (pk) ON DELETE CASCADE,
    organization INTEGER NOT NULL REFERENCES organization (pk) ON DELETE CASCADE,
    project      TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    PRIMARY KEY (person, organization, project, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX person_role_of_organization ON person_role (organization, person);

CREATE TABLE session (
    pk         INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    person     INTEGER NOT NULL REFERENCES person (pk) ON DELETE CASCADE,
    sha256     BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX session_of_person ON session (person, pk);

-- Without `email` it is the sign-up of the first owner.
CREATE TABLE invite (
    pk           INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    organization INTEGER NOT NULL REFERENCES organization (pk) ON DELETE CASCADE,
    email        TEXT,
    sha256       BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX invite_of_organization ON invite (organization, pk);

CREATE TABLE invite_role (
    invite  INTEGER NOT NULL REFERENCES invite (pk) ON DELETE CASCADE,
    project TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    PRIMARY KEY (invite, project, name)
) STRICT, WITHOUT ROWID;
