-- Who invited: an invitation is worth what its sender may grant when it is taken up. NULL is the program itself, which invites the
-- first owner. What was sent before nobody knows the sender of; it is not taken up any more.
ALTER TABLE invite ADD COLUMN sender_kind TEXT CHECK (sender_kind IN ('API_KEY', 'SERVICE_ACCOUNT', 'USER'));
ALTER TABLE invite ADD COLUMN sender_id TEXT;

UPDATE invite SET expires_at = 0 WHERE email IS NOT NULL;
