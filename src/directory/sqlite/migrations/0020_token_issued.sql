-- When a token was made. Those that were before this was kept do not say.
ALTER TABLE token ADD COLUMN issued_at INTEGER;
