-- What needs every byte of a document: one a row in, its plain facts a row out, in the same order.
--
-- Knows the usual shape only: what is missing, or of another type, comes out empty, and logserver/decode/facts.py doubts the
-- row. Names that repeat are LowCardinality at once: what follows from them is worked out per distinct value
-- (logserver/decode/origin.py). The fields come as one tuple, taken apart in Arrow, and the statement is kept short for a
-- reason: the engine analyses it anew for every batch, and every field named here would cost that half a millisecond.
SELECT
    d,
    lower($trace_id) AS trace_id,
    $level_sign AS level_sign,
    if(
        match(d.`@timestamp`, '^((19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]|[0-9]{9,})'),
        parseDateTime64BestEffortOrNull(upper(d.`@timestamp`), 9, 'UTC'),
        NULL
    ) AS parsed
FROM (SELECT JSONExtract(raw, $document_type) AS d FROM Python(rows))
