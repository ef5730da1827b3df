-- Keys that were made elsewhere: found by a keyed hash of their value, not by an id within them.
ALTER TABLE api_key ADD COLUMN origin TEXT NOT NULL DEFAULT 'issued' CHECK (origin IN ('issued', 'imported', 'imported_sha256'));
ALTER TABLE api_key ADD COLUMN lookup BYTEA;
CREATE UNIQUE INDEX api_key_by_lookup ON api_key (lookup);
