package metrics_test

// advice says what to do when a metric is bad, and how that shows. Metrics that are not here
// have no bad side: they are for orientation.
func advice() map[string]string {
	return map[string]string{
		"millrace_agent_batch_retries_total":    "Rises: the broker does not answer or refuses. See the agent's log and `millrace_broker_request_errors_total{api=\"Produce\"}`",
		"millrace_agent_batches_in_doubt_total": "Rises: the agent was cut off in the middle. Nothing is lost or twice; see why it ends",
		"millrace_agent_bytes_lost_total":       "Above 0: a file was cut or deleted before it was read. Let logrotate keep one more file",
		"millrace_agent_lines_cut_total":        "Rises: lines are longer than `agent.line_max`; raise it or shorten them",
		"millrace_agent_lines_lost_total":       "Above 0: a file was cut or deleted before it was read. Let logrotate keep one more file",
		"millrace_agent_truncations_total":      "Rises fast: copytruncate rotates faster than lines are read; rotate by rename",
		"millrace_agent_unacked_bytes":          "Grows: the broker takes less than files get. See its flush time, throttles and disk",

		"millrace_alerting_deliveries_total":         "`failed` rises: the notifier's address or credentials; the log has its answer",
		"millrace_alerting_lag_records":              "Grows: rules cannot keep up; start another `millrace pipelines`",
		"millrace_alerting_unreadable_records_total": "Rises: somebody else writes to Millrace's own topics",
		"millrace_alerting_window_dropped_total":     "Rises: `alerting.waiting_events_max` or `remembered_alerts_max` is reached; use a coarser `group_by`, or raise it",

		"millrace_broker_authentications_failed_total": "Rises: wrong passwords or certificates; the log names client and reason",
		"millrace_broker_connections":                  "Near `connections_max`: clients leak connections, or raise it",
		"millrace_broker_connections_closed_total":     "`malformed`, `too_large`: something that is no Kafka client; `slow`: a network problem; the log names the client",
		"millrace_broker_connections_refused_total":    "Rises: a limit of connections is reached ([limits](security.md#connections))",
		"millrace_broker_connections_throttled_total":  "Rises: an address connects too often for its `connection_creation_rate`",
		"millrace_broker_denied_total":                 "Rises: a client lacks an access control entry; the log names it: `millrace acl add`",

		"millrace_broker_group_append_errors_total":     "Rises: commits fail; see `millrace_broker_storage_writes_refused` and offline partitions of `__consumer_offsets`",
		"millrace_broker_group_lag":                     "Grows: consumers are slower than producers or stopped: `millrace group describe`",
		"millrace_broker_group_lag_complete":            "0: more than 5,000 committed offsets; sum over what is there is too low",
		"millrace_broker_group_rebalances_total":        "Rises all the time: consumers die or exceed `max.poll.interval.ms`",
		"millrace_broker_group_requests_refused_total":  "Rises: a shard is overloaded (COORDINATOR_NOT_AVAILABLE); more `offsets_partitions` or fewer commits",
		"millrace_broker_offline_partitions":            "Above 0: KAFKA_STORAGE_ERROR for these; the log names file and byte: `millrace log check`, then `log repair`",
		"millrace_broker_oldest_transaction_seconds":    "Beyond the transaction timeouts: `millrace txn list --longer-than 15m`, `millrace txn find-hanging`",
		"millrace_broker_partition_series_complete":     "0: more than 10,000 partitions or 5,000 topics; the rest has no series",
		"millrace_broker_partition_stable_offset":       "Stands while the end moves: an open transaction: `millrace producers list TOPIC --open`",
		"millrace_broker_pending_requests":              "`Produce` grows: the disk is slow; `Fetch` is the number of long polls; `JoinGroup` of members in a rebalance",
		"millrace_broker_quota_throttled_seconds_total": "Rises: clients wait because of this quota: `millrace quota list`",
		"millrace_broker_quota_throttles_total":         "Rises: clients wait because of this quota: `millrace quota list`",
		"millrace_broker_request_errors_total":          "Rises: `millrace` prints what to do for each name; Kafka's documentation has them all",
		"millrace_broker_request_memory_bytes":          "Near the maximum: raise `request_memory`, or lower the clients' `max.request.size` and `fetch.max.bytes`",
		"millrace_broker_request_phase_seconds":         "`wait` of Produce: the disk; `local`: the processor; `queue`: one connection asks for too much at once; `response` of Fetch: cold data from the disk",
		"millrace_broker_request_seconds":               "Grows: see which phase does. Fetch waits for records up to the client's `fetch.max.wait.ms`",
		"millrace_broker_throttled_seconds_total":       "Rises: see the quotas of `millrace_broker_quota_throttled_seconds_total`",
		"millrace_broker_topic_received_bytes_total":    "Stands for a topic that should grow: its producers are gone or refused",
		"millrace_broker_undecided_partitions":          "Stays above 0 without load: `millrace txn find-hanging`",

		"millrace_broker_storage_clean_start":                "0: the last process ended without its orderly stop; see why",
		"millrace_broker_storage_cleaner_max_dirty_ratio":    "Stays above `min.cleanable.dirty.ratio`: compaction cannot keep up; more `cleaner.threads` or a higher `cleaner.bytes_per_second_max`",
		"millrace_broker_storage_corrupt_reads_total":        "Above 0: the disk returns what was not written: `millrace log check`, and replace the disk",
		"millrace_broker_storage_disk_free_bytes":            "Near the reserve: delete records, lower retention, or a larger disk",
		"millrace_broker_storage_flush_seconds":              "Grows: the disk is slow or shared; `iostat -x`; acks=all waits for it",
		"millrace_broker_storage_no_descriptors_total":       "Rises: `ulimit -n` is too low for the connections and `open_files`",
		"millrace_broker_storage_offline_logs":               "Above 0: as `millrace_broker_offline_partitions`",
		"millrace_broker_storage_read_disk_bytes_total":      "Above the tail's: consumers read old data; they compete with the flushes for the disk",
		"millrace_broker_storage_recovery_seconds":           "Long: the process was killed with much unflushed data; stop it with SIGTERM",
		"millrace_broker_storage_refused_appends_total":      "Rises: the disk is nearly full (KAFKA_STORAGE_ERROR for producers)",
		"millrace_broker_storage_torn_tails_total":           "Above 0 after a crash is expected: nothing acknowledged is in a torn tail",
		"millrace_broker_storage_uncleanable_bytes":          "Above 0: compaction met damage; the log names the file: `millrace log check`",
		"millrace_broker_storage_uncleanable_logs":           "Above 0: compaction met damage; the log names the file: `millrace log check`",
		"millrace_broker_storage_writes_refused":             "1: the disk is nearly full: delete records, lower retention, or a larger disk; it resumes by itself",
		"millrace_broker_transaction_append_errors_total":    "Rises: see `millrace_broker_storage_writes_refused` and offline partitions of `__transaction_state`",
		"millrace_broker_transaction_marker_errors_total":    "Rises: markers cannot be written to a partition that is offline",
		"millrace_broker_transaction_timeouts_total":         "Rises: producers die or take longer than their `transaction.timeout.ms`",
		"millrace_broker_transaction_requests_refused_total": "Rises: a shard is overloaded (COORDINATOR_NOT_AVAILABLE); more `transactions_partitions`",

		"millrace_console_requests_total": "`code` 5xx rises: the console cannot reach Kafka or Elasticsearch",

		"millrace_mirror_lag_records":   "Grows: the target or the network is too slow; start another `millrace mirror`",
		"millrace_mirror_retries_total": "Rises: the target refuses or does not answer; see the log",

		"millrace_pipeline_bulk_retries_total":            "Rises: Elasticsearch refuses or does not answer; see the log",
		"millrace_pipeline_bulk_seconds":                  "Grows: Elasticsearch is slow",
		"millrace_pipeline_documents_dead_lettered_total": "Rises: Elasticsearch refuses documents for what is in them; they are in the dead letter topic with the reason",
		"millrace_pipeline_documents_stripped_total":      "Rises: fields of another type than the index has (`tags: mapping_failure`); convert them in the pipeline",
		"millrace_pipeline_lag_records":                   "Grows: start another `millrace pipelines`, or see what is slow: `millrace_pipeline_bulk_seconds`",
		"millrace_pipeline_parse_failures_total":          "Rises: lines do not match the pipeline's patterns; they are indexed with `error.message`",

		"millrace_search_flush_failures_total": "Above 0: the disk is full or damaged; nothing acknowledged is lost while the log is there",
		"millrace_search_log_bytes":            "Grows: flushes fail or cannot keep up",
		"millrace_search_memory_bytes":         "Near `search.search_memory`: queries are too wide",
		"millrace_search_merge_failures_total": "Above 0: the disk is full or damaged; the log names the segment",
		"millrace_search_requests_total":       "`status` 5xx rises: see the log; 4xx: clients ask for what is not there",
	}
}
