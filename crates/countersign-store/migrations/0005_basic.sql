-- People's passwords, and the app passwords that stand in their place.
CREATE TABLE password (
    principal TEXT COLLATE "C" PRIMARY KEY REFERENCES principal (id),
    -- in PHC's form, with its parameters
    hash TEXT NOT NULL,
    -- the rule by which the text was made normal before it was hashed; 0: it was imported
    normal BIGINT NOT NULL,
    -- rises with every new password; part of the node that what descends from it names
    version BIGINT NOT NULL,
    set_at BIGINT NOT NULL
);
CREATE TABLE app_password (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL REFERENCES principal (id),
    service TEXT NOT NULL,
    pepper BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    -- a JSON array of `kind:id`
    parents TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    -- NULL: it was not revoked
    revoked_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX app_password_by_creation ON app_password (created_at, id);
CREATE INDEX app_password_by_owner ON app_password (owner, created_at, id);
