-- What began with one credential, and what one principal has open, is found without reading what is over. What somebody ended
-- never comes back, so these grow with what is open and no further.
-- The first of `parents`, `kind:id`; empty: it has none. NULL: it began before this was kept, is not counted among those of its
-- credential, and ends with its key when it is used.
ALTER TABLE session ADD COLUMN credential TEXT COLLATE "C";
CREATE INDEX session_open ON session (principal, credential, created_at, id) WHERE ended_at IS NULL;
-- Whoever begins and ends them one after the other makes many; they do not stay for long.
CREATE INDEX session_ended_by_holder ON session (ended_at) WHERE end_reason IN ('displaced', 'signed_out');
