#!/usr/bin/env bash
# Create the topic that Filebeat writes and the log-server reads, or bring an existing one to this plan.
#
#   KAFKA_HOSTS=broker-1:9092,broker-2:9092 ./create-topic.sh
#
# Settings, all from the environment:
#   KAFKA_TOPIC        logs
#   PARTITIONS         12    the most log-server replicas that can read at once; one reads about 100,000 lines/s. Only
#                            ever raise it: a container's key then maps to another partition, and for a moment its lines
#                            arrive in two (the log-server orders by file offset, so nothing is shown out of order).
#   REPLICATION        3     with MIN_INSYNC=2 one broker may be down without a line lost or Filebeat waiting.
#   MIN_INSYNC         2     Filebeat asks for all replicas in sync (required_acks: -1).
#   RETENTION_HOURS    48    how long the log-server may be down before lines are lost.
#   RETENTION_BYTES    -1    per partition; -1 = by time alone. Disk needed: lines/s x 1.7 KB / 3 (lz4) x retention x
#                            replication; 10,000 lines/s for 48 h on three replicas is about 3 TB.
#   KAFKA_BIN                where kafka-topics.sh and kafka-configs.sh are (default: on the PATH)
#   COMMAND_CONFIG           a client properties file (TLS, SASL)
set -euo pipefail

: "${KAFKA_HOSTS:?set KAFKA_HOSTS to host:port[,host:port]}"
topic=${KAFKA_TOPIC:-logs}
partitions=${PARTITIONS:-12}
replication=${REPLICATION:-3}
bin=${KAFKA_BIN:+$KAFKA_BIN/}
connect=(--bootstrap-server "$KAFKA_HOSTS")
[ -z "${COMMAND_CONFIG:-}" ] || connect+=(--command-config "$COMMAND_CONFIG")

settings=(
  # Filebeat's record time is the line's own time: an old line would be deleted on arrival. The broker's clock counts.
  "message.timestamp.type=LogAppendTime"
  "retention.ms=$((${RETENTION_HOURS:-48} * 3600 * 1000))"
  "retention.bytes=${RETENTION_BYTES:--1}"
  # Above Filebeat's output.kafka.max_message_bytes (7 MiB), so the broker refuses nothing that Filebeat sends.
  "max.message.bytes=8388608"
  "min.insync.replicas=${MIN_INSYNC:-2}"
  "unclean.leader.election.enable=false"
  "cleanup.policy=delete"
  # Keep what Filebeat compressed as it is.
  "compression.type=producer"
  "segment.bytes=268435456"
  "segment.ms=3600000"
)

"${bin}kafka-topics.sh" "${connect[@]}" --create --if-not-exists --topic "$topic" \
  --partitions "$partitions" --replication-factor "$replication" "${settings[@]/#/--config=}"

now=$("${bin}kafka-topics.sh" "${connect[@]}" --describe --topic "$topic" | sed -n 's/.*PartitionCount: *\([0-9]*\).*/\1/p')
if [ "$now" -lt "$partitions" ]; then
  "${bin}kafka-topics.sh" "${connect[@]}" --alter --topic "$topic" --partitions "$partitions"
fi
"${bin}kafka-configs.sh" "${connect[@]}" --alter --entity-type topics --entity-name "$topic" \
  --add-config "$(IFS=,; echo "${settings[*]}")"
"${bin}kafka-topics.sh" "${connect[@]}" --describe --topic "$topic"
