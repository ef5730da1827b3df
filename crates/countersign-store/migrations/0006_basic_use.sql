-- Who still uses HTTP Basic, and where: counted late and in bulk, never on the path of a request.
CREATE TABLE basic_use (
    principal TEXT COLLATE "C" NOT NULL,
    -- the route's name in the configuration
    route TEXT COLLATE "C" NOT NULL,
    uses BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (principal, route)
);
