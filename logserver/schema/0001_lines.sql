-- A stored line. The sorting key ends in the identity of a line and leaves out what may differ when Filebeat sends
-- the same line again (the model and the labels are missing until its metadata arrive), so background merges collapse
-- a duplicate that two replicas let in at the same moment.
CREATE TABLE IF NOT EXISTS lines ${on_cluster}
(
    ts           DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    namespace    LowCardinality(String),
    model        LowCardinality(String),
    predictor    LowCardinality(String),
    pod          LowCardinality(String),
    container    LowCardinality(String),
    node         LowCardinality(String),
    stream       LowCardinality(String),
    level        LowCardinality(String),
    message      String CODEC(ZSTD(1)),
    trace_id     String CODEC(ZSTD(1)),
    labels       LowCardinality(String), -- the pod's other labels as the text of a JSON object
    flags        LowCardinality(String), -- log.flags and our own, joined by commas
    container_id LowCardinality(String),
    file_path    LowCardinality(String),
    file_id      UInt64 CODEC(ZSTD(1)),
    file_offset  UInt64 CODEC(Delta, ZSTD(1)),
    topic        LowCardinality(String),
    partition    UInt32 CODEC(ZSTD(1)),
    offset       UInt64 CODEC(Delta, ZSTD(1)),
    appended_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    indexed_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    keep_days    UInt16 CODEC(ZSTD(1)),
    day          Date CODEC(ZSTD(1)),
    INDEX by_ts ts TYPE minmax GRANULARITY 1,
    INDEX by_offset offset TYPE minmax GRANULARITY 1,
    INDEX by_model model TYPE set(64) GRANULARITY 1,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_word message TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1
)
ENGINE = ${replacing_merge_tree}
PARTITION BY (keep_days, day)
ORDER BY (namespace, pod, container, ts, file_id, file_offset)
SETTINGS ${dedup_window};

-- Where consumption resumes: written last, after the lines. The row of the newest owner wins.
CREATE TABLE IF NOT EXISTS positions ${on_cluster}
(
    topic       LowCardinality(String),
    partition   UInt32,
    next_offset UInt64,
    epoch       UInt64, -- of the owner that wrote it
    seq         UInt64, -- counts that owner's writes
    updated_at  DateTime64(3, 'UTC'),
    version     UInt64 MATERIALIZED bitShiftLeft(epoch, 40) + seq
)
ENGINE = ${replacing_merge_tree_version}
ORDER BY (topic, partition)
SETTINGS ${dedup_window};

-- Who may write: the owner with the highest epoch of a partition.
CREATE TABLE IF NOT EXISTS owners ${on_cluster}
(
    topic         LowCardinality(String),
    partition     UInt32,
    epoch         UInt64,
    owner         String,
    registered_at DateTime64(3, 'UTC')
)
ENGINE = ${replacing_merge_tree}
ORDER BY (topic, partition, epoch, owner)
SETTINGS ${dedup_window};

-- The highest offset of a file that anyone ever meant to store: written before the lines, so a line beyond it is new.
CREATE TABLE IF NOT EXISTS files ${on_cluster}
(
    file_id UInt64,
    mark    SimpleAggregateFunction(max, UInt64),
    seen_at SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = ${aggregating_merge_tree}
ORDER BY file_id
SETTINGS ${dedup_window};

-- Documents that could not become a line, as they came.
CREATE TABLE IF NOT EXISTS rejects ${on_cluster}
(
    received_at DateTime64(3, 'UTC'),
    topic       LowCardinality(String),
    partition   UInt32,
    offset      UInt64,
    reason      LowCardinality(String),
    detail      String,
    raw         String CODEC(ZSTD(3)),
    key         String CODEC(ZSTD(3))
)
ENGINE = ${replacing_merge_tree}
PARTITION BY toDate(received_at)
ORDER BY (topic, partition, offset)
SETTINGS ${dedup_window};
