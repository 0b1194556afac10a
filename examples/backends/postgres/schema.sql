-- Run as one implicit transaction. The lock is there because two concurrent
-- CREATE TABLE IF NOT EXISTS can both find nothing, and one then fails.
SELECT pg_advisory_xact_lock(hashtext('kelpie-registry schema'));

CREATE TABLE IF NOT EXISTS clusters (
    cluster         text COLLATE "C" PRIMARY KEY,
    ttl             bigint NOT NULL, -- nanoseconds
    grace           bigint NOT NULL,
    max_clock_skew  bigint NOT NULL,
    failure_timeout bigint NOT NULL
);

-- Rows of actors and nodes are never deleted. Names compare byte by byte.
CREATE TABLE IF NOT EXISTS actors (
    cluster      text COLLATE "C" NOT NULL,
    namespace    text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    holder_id    text COLLATE "C" NOT NULL, -- '' and epoch 0: nobody
    holder_epoch bigint NOT NULL,
    token        bigint NOT NULL,
    version      bigint NOT NULL,
    expiry       bigint NOT NULL, -- nanoseconds since 1970: a timestamptz would round to microseconds
    claim_id     bytea  NOT NULL,
    PRIMARY KEY (cluster, namespace, name)
);
CREATE INDEX IF NOT EXISTS actors_by_holder ON actors (cluster, holder_id, holder_epoch, namespace, name);

CREATE TABLE IF NOT EXISTS nodes (
    cluster   text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    epoch     bigint   NOT NULL,
    address   bytea    NOT NULL, -- may hold a NUL, which text cannot
    status    smallint NOT NULL,
    last_seen bigint   NOT NULL,
    PRIMARY KEY (cluster, id)
);

-- One row, which names the time between two crashes: an unlogged table is emptied by
-- crash recovery.
CREATE UNLOGGED TABLE IF NOT EXISTS life (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id  uuid NOT NULL DEFAULT gen_random_uuid()
);
