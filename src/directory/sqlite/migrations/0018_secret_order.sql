-- Which secret of a credential came first, where several were made in one second. Those that are there already keep the order
-- that they are shown in, that of their ids.
ALTER TABLE secret ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
