-- Where network sets take their networks from by themselves, and how that goes.

CREATE TABLE network_feed (
    network_set INTEGER PRIMARY KEY REFERENCES network_set (pk) ON DELETE CASCADE,
    url         TEXT,
    file        TEXT,
    form        TEXT,
    -- A name a line.
    services    TEXT    NOT NULL,
    regions     TEXT    NOT NULL,
    -- Seconds.
    every       INTEGER NOT NULL CHECK (every > 0),
    made_at     INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    -- Nothing has come of it yet.
    asked       INTEGER NOT NULL,
    good_at     INTEGER,
    failures    INTEGER NOT NULL,
    fault       TEXT,
    -- What waits for a person, a network a line.
    held        TEXT,
    held_at     INTEGER,
    held_why    TEXT,
    CHECK ((url IS NULL) <> (file IS NULL)),
    CHECK ((held IS NULL) = (held_at IS NULL) AND (held IS NULL) = (held_why IS NULL))
) STRICT;

CREATE INDEX network_feed_due ON network_feed (due_at);
