-- The index of several servers. It is that of SQLite, in PostgreSQL's words.
CREATE TABLE sites (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL
);

-- A row here is the commit of a snapshot. Times are milliseconds since 1970.
CREATE TABLE snapshots (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    site_id        BIGINT NOT NULL REFERENCES sites (id),
    created        BIGINT NOT NULL,
    source         TEXT NOT NULL,
    source_kind    TEXT NOT NULL,
    source_created BIGINT,
    version        TEXT NOT NULL,
    parent         TEXT NOT NULL, -- the snapshot that parts were taken over from
    schemas_known  BOOLEAN NOT NULL,
    counts         TEXT NOT NULL, -- JSON: records and bytes by stage and type
    added_blobs    BIGINT NOT NULL,
    added_bytes    BIGINT NOT NULL,
    forgotten      BIGINT -- its pieces wait for being swept
);

CREATE INDEX snapshots_by_site ON snapshots (site_id, id);

CREATE TABLE blobs (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest BYTEA NOT NULL UNIQUE,
    size   BIGINT NOT NULL
);

-- raw is the SHA-256 of the JSON lines, so that known ones need not be compressed to be recognised.
CREATE TABLE segments (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stage   TEXT NOT NULL,
    raw     BYTEA NOT NULL,
    blob_id BIGINT NOT NULL REFERENCES blobs (id),
    records BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    UNIQUE (stage, raw)
);

CREATE INDEX segments_by_blob ON segments (blob_id);

-- first is the number of records of the stage before the segment.
CREATE TABLE snapshot_segments (
    snapshot_id BIGINT NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
    stage       TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    first       BIGINT NOT NULL,
    segment_id  BIGINT NOT NULL REFERENCES segments (id),
    PRIMARY KEY (snapshot_id, stage, seq)
);

CREATE INDEX snapshot_segments_by_segment ON snapshot_segments (segment_id);

-- The files that the lines of a segment of the assets stage name.
CREATE TABLE assets (
    segment_id BIGINT NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
    pos        BIGINT NOT NULL,
    blob_id    BIGINT NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (segment_id, pos)
);

CREATE INDEX assets_by_blob ON assets (blob_id);

-- Who is writing a site. The lock itself is the session's; this is for those who ask.
CREATE TABLE holders (
    site TEXT PRIMARY KEY,
    note TEXT NOT NULL -- JSON
);
