-- When an event last told of a list that is held: lists that come and go do not fill the events.
ALTER TABLE network_feed ADD COLUMN told_at INTEGER;
UPDATE network_feed SET told_at = held_at;
