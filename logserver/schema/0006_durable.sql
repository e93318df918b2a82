-- An insert is on the disk before the next one begins: what survives a power failure is then a beginning of what was
-- stored, the position last, and the rest is read from Kafka again. Merges keep what they merged for eight minutes.
ALTER TABLE lines ${on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE rejects ${on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE files ${on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE owners ${on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE positions ${on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
