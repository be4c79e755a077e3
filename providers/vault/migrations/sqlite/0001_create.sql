CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sites (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

-- A row here is the commit of a snapshot. Times are milliseconds since 1970.
CREATE TABLE snapshots (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL UNIQUE,
    site_id        INTEGER NOT NULL REFERENCES sites (id),
    created        INTEGER NOT NULL,
    source         TEXT NOT NULL,
    source_kind    TEXT NOT NULL,
    source_created INTEGER,
    version        TEXT NOT NULL,
    parent         TEXT NOT NULL, -- the snapshot that parts were taken over from
    schemas_known  INTEGER NOT NULL,
    counts         TEXT NOT NULL, -- JSON: records and bytes by stage and type
    added_blobs    INTEGER NOT NULL,
    added_bytes    INTEGER NOT NULL,
    forgotten      INTEGER -- its pieces wait for being swept
) STRICT;

CREATE INDEX snapshots_by_site ON snapshots (site_id, id);

CREATE TABLE blobs (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size   INTEGER NOT NULL
) STRICT;

-- raw is the SHA-256 of the JSON lines, so that known ones need not be compressed to be recognised.
CREATE TABLE segments (
    id      INTEGER PRIMARY KEY,
    stage   TEXT NOT NULL,
    raw     BLOB NOT NULL,
    blob_id INTEGER NOT NULL REFERENCES blobs (id),
    records INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    UNIQUE (stage, raw)
) STRICT;

CREATE INDEX segments_by_blob ON segments (blob_id);

-- first is the number of records of the stage before the segment.
CREATE TABLE snapshot_segments (
    snapshot_id INTEGER NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
    stage       TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    segment_id  INTEGER NOT NULL REFERENCES segments (id),
    PRIMARY KEY (snapshot_id, stage, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX snapshot_segments_by_segment ON snapshot_segments (segment_id);

-- The files that the lines of a segment of the assets stage name.
CREATE TABLE assets (
    segment_id INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
    pos        INTEGER NOT NULL,
    blob_id    INTEGER NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (segment_id, pos)
) STRICT, WITHOUT ROWID;

CREATE INDEX assets_by_blob ON assets (blob_id);
