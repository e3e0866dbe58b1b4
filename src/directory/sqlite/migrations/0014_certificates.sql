-- Which client certificates speak for a service account: `uri:` and a URI that they have, or `sha256:` and their hash.
ALTER TABLE service_account ADD COLUMN certificate TEXT;
CREATE UNIQUE INDEX service_account_certificate ON service_account (certificate) WHERE certificate IS NOT NULL;
