-- A page reads where a line comes from as one column instead of nine: each column costs a query 0.15 ms, whatever its
-- size. What was stored before, or is stored by an older program in the same cluster, gets it from the nine.
ALTER TABLE lines ${on_cluster} ADD COLUMN IF NOT EXISTS origin LowCardinality(String)
    DEFAULT toJSONString([toString(namespace), toString(model), toString(predictor), toString(pod), toString(container),
        toString(node), toString(labels), toString(container_id), toString(file_path)]);
