-- Lists of a hundred thousand credentials are paged by name without sorting them first.
CREATE INDEX credential_by_name ON credential (organization, kind, name COLLATE NOCASE, pk);
