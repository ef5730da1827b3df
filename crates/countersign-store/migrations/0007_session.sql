-- How often everything signed for a principal was called back: "everything before now" (RULES 2.5).
ALTER TABLE principal ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
-- Our own signing keys (RULES 5.3).
CREATE TABLE signing_key (
    -- RFC 7638
    kid TEXT COLLATE "C" PRIMARY KEY,
    purpose TEXT COLLATE "C" NOT NULL,
    algorithm TEXT COLLATE "C" NOT NULL,
    -- the private half, sealed; empty once it is removed
    sealed BYTEA NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('published', 'active', 'retired', 'removed')),
    -- since when it is in this state
    since BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
-- One signs for each purpose and algorithm.
CREATE UNIQUE INDEX signing_key_active ON signing_key (purpose, algorithm) WHERE state = 'active';
-- Who signed in and comes back (RULES 2.6). No index covers what a refresh writes: it happens often.
CREATE TABLE session (
    id TEXT COLLATE "C" PRIMARY KEY,
    principal TEXT COLLATE "C" NOT NULL REFERENCES principal (id),
    kind TEXT NOT NULL CHECK (kind IN ('cookie', 'jwt_cookie', 'native')),
    host TEXT NOT NULL,
    scopes TEXT NOT NULL,
    -- a JSON array of resources
    audiences TEXT NOT NULL,
    -- a JSON array of `kind:id`
    parents TEXT NOT NULL,
    amr TEXT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    -- microseconds without use after which it is over
    idle BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    agent TEXT NOT NULL,
    address TEXT,
    -- SHA-256 of the cookie's token; NULL: it has none
    cookie BYTEA,
    -- SHA-256 of the refresh token that is good now, and of the one before; NULL: it has none
    refresh_current BYTEA,
    refresh_previous BYTEA,
    -- the present one, sealed under the one before (RULES 4.2)
    refresh_sealed BYTEA,
    refresh_generation BIGINT,
    refresh_rotated_at BIGINT,
    -- NULL: nobody ended it
    ended_at BIGINT,
    end_reason TEXT
);
CREATE INDEX session_by_creation ON session (created_at, id);
CREATE INDEX session_by_principal ON session (principal, created_at, id);
