-- One Filebeat document a row in, one line a row out, in the same order: the hot path of the decoder.
--
-- A row whose `doubt` is empty is a line. Any other row goes to the careful path (logserver/repair.py), which makes a
-- plain document of it or a reject; so this statement knows the usual shape only. Names that repeat are LowCardinality
-- at once: what follows from them is worked out per distinct value, not per row.
WITH
    ifNull(raw, '') AS document,
    JSONExtract(document, $document_type) AS d,
    if(match(d.`@timestamp`, '^([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]|[0-9]{9,})'), parseDateTime64BestEffortOrNull(d.`@timestamp`, 9, 'UTC'), NULL) AS parsed,
    toLowCardinality(d.log.file.path) AS path,
    toLowCardinality(d.container.id) AS said_container_id,
    toLowCardinality(d.kubernetes.labels) AS label_text,
    toLowCardinality(JSONExtractString(label_text, '$model_v1')) AS model_v1,
    toLowCardinality(JSONExtractString(label_text, '$app_v1')) AS app_v1,
    -- <pod>_<namespace>_<container>-<64 hex>.log below /var/log/containers
    '/containers/([^/_]+)_[^/_]+_[^/]+-[0-9a-f]{64}[.]log' AS containers_pod,
    '/containers/[^/_]+_([^/_]+)_[^/]+-[0-9a-f]{64}[.]log' AS containers_namespace,
    '/containers/[^/_]+_[^/_]+_([^/]+)-[0-9a-f]{64}[.]log' AS containers_container,
    -- <namespace>_<pod>_<uid>/<container>/<n>.log below /var/log/pods
    '/pods/[^/_]+_([^/_]+)_[^/_]+/[^/]+/[^/]*$$' AS pods_pod,
    '/pods/([^/_]+)_[^/_]+_[^/_]+/[^/]+/[^/]*$$' AS pods_namespace,
    '/pods/[^/_]+_[^/_]+_[^/_]+/([^/]+)/[^/]*$$' AS pods_container,
    extract(path, '/containers/.*-([0-9a-f]{64})[.]log') AS path_container_id,
    extract(path, '/pods/[^/_]+_[^/_]+_([^/_]+/[^/]+)/[^/]*$$') AS path_uid_and_container,
    -- What a file belongs to, from its path first: metadata may come late, the path is always there.
    multiIf(
        path_container_id != '', path_container_id,
        path_uid_and_container != '', path_uid_and_container,
        said_container_id != '', said_container_id,
        concat(d.host.name, ':', path)
    ) AS file_scope,
    -- A growing fingerprint changes with the file, device and inode do not.
    multiIf(
        d.log.file.inode != '', concat(d.log.file.device_id, ':', d.log.file.inode),
        d.log.file.fingerprint != '', d.log.file.fingerprint,
        path
    ) AS file_name,
    d.log.offset AS offset_in_file,
    path != '' AND isNotNull(offset_in_file) AS has_file
SELECT
    ifNull(parsed, toDateTime64(0, 9, 'UTC')) AS ts,
    toLowCardinality(multiIf(
        d.kubernetes.namespace != '', toLowCardinality(d.kubernetes.namespace),
        path_container_id != '', extract(path, containers_namespace),
        extract(path, pods_namespace)
    )) AS namespace,
    if(model_v1 != '', model_v1, toLowCardinality(JSONExtractString(label_text, '$model_v2'))) AS model,
    toLowCardinality(multiIf(
        model_v1 = '', '',
        JSONExtractString(label_text, '$predictor_v1') != '', JSONExtractString(label_text, '$predictor_v1'),
        startsWith(app_v1, concat(model_v1, '-')), substring(app_v1, length(model_v1) + 2),
        ''
    )) AS predictor,
    toLowCardinality(multiIf(
        d.kubernetes.pod.name != '', toLowCardinality(d.kubernetes.pod.name),
        path_container_id != '', extract(path, containers_pod),
        extract(path, pods_pod)
    )) AS pod,
    toLowCardinality(multiIf(
        d.kubernetes.container.name != '', toLowCardinality(d.kubernetes.container.name),
        path_container_id != '', extract(path, containers_container),
        extract(path, pods_container)
    )) AS container,
    toLowCardinality(d.kubernetes.node.name) AS node,
    toLowCardinality(d.stream) AS stream,
    $level AS level,
    d.message AS message,
    $trace_id AS trace_id,
    toLowCardinality(if(label_text = '', '{}', label_text)) AS labels,
    toLowCardinality(arrayStringConcat(d.log.flags, ',')) AS flags,
    if(said_container_id != '', said_container_id, path_container_id) AS container_id,
    path AS file_path,
    if(has_file, sipHash64(file_scope, file_name), 0) AS file_id,
    if(has_file, assumeNotNull(offset_in_file), 0) AS file_offset,
    toLowCardinality(multiIf(
        isNull(parsed), 'timestamp',
        path = '' AND JSONType(document, 'log') NOT IN ('Null', 'Object'), 'type',
        path != '' AND isNull(offset_in_file) AND JSONHas(document, 'log', 'offset'), 'type',
        namespace = '' AND JSONType(document, 'kubernetes') NOT IN ('Null', 'Object'), 'type',
        d.message = '', 'message',
        ''
    )) AS doubt
FROM Python(rows)
