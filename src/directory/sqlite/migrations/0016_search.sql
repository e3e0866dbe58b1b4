-- A page of a hundred thousand credentials is found by reading one index from one end, whatever is looked for and however it is
-- sorted.

-- What a search looks at, in small letters; `char(10)` is in none of its parts.
ALTER TABLE credential ADD COLUMN sought TEXT
    GENERATED ALWAYS AS (lower(name || char(10) || coalesce(public_key, '') || char(10) || id)) VIRTUAL;
DROP INDEX credential_by_name;
CREATE INDEX credential_by_name ON credential (organization, kind, name COLLATE NOCASE, pk, sought);

-- Every credential has a row, those that were never used as well. `organization` and `kind` are the credential's, which never change.
ALTER TABLE credential_use ADD COLUMN organization INTEGER;
ALTER TABLE credential_use ADD COLUMN kind TEXT;
INSERT INTO credential_use (credential) SELECT pk FROM credential WHERE true ON CONFLICT DO NOTHING;
UPDATE credential_use SET (organization, kind) = (SELECT organization, kind FROM credential WHERE pk = credential_use.credential);
CREATE INDEX credential_use_by_use ON credential_use (organization, kind, last_used, credential);
CREATE INDEX credential_use_by_denial ON credential_use (organization, kind, denied_at, credential);
CREATE TRIGGER credential_use_begins AFTER INSERT ON credential BEGIN
    INSERT INTO credential_use (credential, organization, kind) VALUES (new.pk, new.organization, new.kind);
END;
