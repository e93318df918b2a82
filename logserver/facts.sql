-- What needs every byte of a document: one a row in, its plain facts a row out, in the same order.
--
-- A row whose `doubt` is empty can become a line. Any other goes to the careful path (logserver/repair.py), which makes
-- a plain document of it or a reject; so this statement knows the usual shape only. Names that repeat are LowCardinality
-- at once: what follows from them is worked out per distinct value (logserver/origin.py). The statement is kept short
-- for a reason: the engine analyses it anew for every batch, and that costs as much as decoding some thousand documents.
SELECT
    ifNull(parsed, toDateTime64(0, 9, 'UTC')) AS ts,
    d.message AS message,
    lower($trace_id) AS trace_id,
    $level_sign AS level_sign,
    d.log.offset AS offset_in_file,
    toLowCardinality(d.stream) AS stream,
    toLowCardinality(arrayStringConcat(d.log.flags, ',')) AS flags,
    toLowCardinality(d.log.file.path) AS file_path,
    toLowCardinality(d.log.file.device_id) AS device_id,
    toLowCardinality(d.log.file.inode) AS inode,
    toLowCardinality(d.log.file.fingerprint) AS fingerprint,
    toLowCardinality(d.host.name) AS host,
    toLowCardinality(d.container.id) AS said_container_id,
    toLowCardinality(d.kubernetes.namespace) AS said_namespace,
    toLowCardinality(d.kubernetes.pod.name) AS said_pod,
    toLowCardinality(d.kubernetes.container.name) AS said_container,
    toLowCardinality(d.kubernetes.node.name) AS node,
    toLowCardinality(d.kubernetes.labels) AS label_text,
    toLowCardinality(multiIf(
        isNull(parsed), 'timestamp',
        file_path = '' AND JSONType(document, 'log') NOT IN ('Null', 'Object'), 'type',
        file_path != '' AND isNull(offset_in_file) AND JSONHas(document, 'log', 'offset'), 'type',
        message = '', 'message',
        said_namespace = '' AND JSONType(document, 'kubernetes') NOT IN ('Null', 'Object'), 'kubernetes',
        ''
    )) AS doubt
FROM
(
    SELECT
        document,
        JSONExtract(document, $document_type) AS d,
        if(
            match(d.`@timestamp`, '^((19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]|[0-9]{9,})'),
            parseDateTime64BestEffortOrNull(upper(d.`@timestamp`), 9, 'UTC'),
            NULL
        ) AS parsed
    FROM (SELECT ifNull(raw, '') AS document FROM Python(rows))
)
