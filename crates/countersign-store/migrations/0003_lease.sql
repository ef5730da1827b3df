-- Who does a job that one process is enough for, and until when it is theirs (RULES 4.6).
CREATE TABLE lease (
    job TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT NOT NULL,
    until_at BIGINT NOT NULL
);
