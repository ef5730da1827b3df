-- One text for both engines: TEXT, BIGINT, BYTEA, BOOLEAN and nothing else. Times are microseconds since 1970 (UTC).
-- COLLATE "C" stands on what is compared as bytes; SQLite, which always does so, is given the text without it.

CREATE TABLE meta (
    key TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);
-- A restore from a copy starts the next one (RULES 4.6).
INSERT INTO meta (key, value) VALUES ('epoch', '1');

CREATE TABLE principal (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'service')),
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    group_names TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_key (
    id TEXT COLLATE "C" PRIMARY KEY,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    prefix TEXT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL REFERENCES principal (id),
    label TEXT NOT NULL,
    pepper BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    networks TEXT NOT NULL,
    limit_quota BIGINT,
    limit_window BIGINT,
    plan TEXT,
    -- a JSON array of `kind:id`
    parents TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    state TEXT NOT NULL CHECK (state IN ('active', 'rotated', 'revoked')),
    -- when it left the state `active`
    ended_at BIGINT,
    successor TEXT COLLATE "C",
    reason TEXT,
    version BIGINT NOT NULL
);
CREATE INDEX api_key_by_creation ON api_key (created_at, id);
CREATE INDEX api_key_by_owner ON api_key (owner, created_at, id);

-- The feed of changes (RULES 2.5). Positions come from the locked row of feed_head, so they become visible in order.
CREATE TABLE feed (
    position BIGINT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('changed', 'revoked')),
    node_kind TEXT NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    -- NULL: counts for ever
    until_at BIGINT
);
CREATE INDEX feed_by_kind ON feed (kind, position);
CREATE TABLE feed_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL
);
INSERT INTO feed_head (id, position) VALUES (1, 0);

-- The trail (RULES 3.9): each row's hash covers its number, the hash before it and all its columns.
CREATE TABLE audit_event (
    number BIGINT PRIMARY KEY,
    hash BYTEA NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    credential TEXT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    source TEXT NOT NULL,
    request TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_event_by_action ON audit_event (action, number);
CREATE INDEX audit_event_by_subject ON audit_event (subject, number);
CREATE TABLE audit_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL,
    hash BYTEA NOT NULL
);
