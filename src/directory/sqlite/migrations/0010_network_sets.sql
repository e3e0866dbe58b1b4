-- Named sets of networks, which entries of access lists may refer to.

CREATE TABLE network_set (
    pk           INTEGER PRIMARY KEY,
    organization INTEGER NOT NULL REFERENCES organization (pk) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    owner        TEXT,
    comment      TEXT,
    created_at   INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    UNIQUE (organization, name)
) STRICT;

CREATE TABLE network_set_network (
    network_set INTEGER NOT NULL REFERENCES network_set (pk) ON DELETE CASCADE,
    network     TEXT    NOT NULL,
    PRIMARY KEY (network_set, network)
) STRICT, WITHOUT ROWID;

-- An entry that refers to a set has `set:NAME` as its `network`: that is what it is named by, and sets keep their names.
ALTER TABLE entry ADD COLUMN network_set INTEGER REFERENCES network_set (pk) ON DELETE RESTRICT
    CHECK ((network_set IS NOT NULL) = (substr(network, 1, 4) = 'set:'));
CREATE INDEX entry_of_network_set ON entry (network_set, credential) WHERE network_set IS NOT NULL;

-- Lists that may admit everything are found without a look at all the others.
CREATE INDEX entry_wide ON entry (credential)
    WHERE network_set IS NULL AND CAST(substr(network, instr(network, '/') + 1) AS INTEGER) <= 17;
