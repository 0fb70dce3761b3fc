package metrics_test

// panel is one graph of a dashboard: what it is called, its unit in Grafana's words, and the
// expressions with their legends.
type panel struct {
	title, about, unit string
	kind               string // timeseries unless it says stat or table
	series             []series
}

type series struct{ expr, legend string }

// row is a line of panels of the same width.
type row struct {
	title  string
	panels []panel
}

// dashboard is one file under packaging/grafana.
type dashboard struct {
	file, uid, title, about string
	// variables are labels to choose by, beside the instance: name and the metric that has it.
	variables [][2]string
	rows      []row
}

func one(expr, legend string) []series { return []series{{expr, legend}} }

// Everything is of the chosen instances.
const (
	node  = `instance=~"$instance"`
	every = `[$__rate_interval]`
)

func perSecond(metric string, by string) string {
	if by == "" {
		return "sum(rate(" + metric + "{" + node + "}" + every + "))"
	}
	return "sum by (" + by + ") (rate(" + metric + "{" + node + "}" + every + "))"
}

func quantiles(metric, matchers, by string) []series {
	groups := "le"
	if by != "" {
		groups += ", " + by
	}
	var out []series
	for _, q := range [][2]string{{"0.5", "p50"}, {"0.99", "p99"}, {"0.999", "p99.9"}} {
		legend := q[1]
		if by != "" {
			legend += " {{" + by + "}}"
		}
		out = append(out, series{"histogram_quantile(" + q[0] + ", sum by (" + groups + ") (rate(" + metric + "_bucket{" + node + matchers + "}" + every + ")))", legend})
	}
	return out
}

func gauge(metric string) string { return metric + "{" + node + "}" }

// dashboards are all that there are.
func dashboards() []dashboard {
	return []dashboard{brokerDashboard(), topicsDashboard(), groupsDashboard(), transactionsDashboard(), pipelinesDashboard()}
}

func brokerDashboard() dashboard {
	return dashboard{
		file: "millrace-broker.json", uid: "millrace-broker", title: "Millrace / Broker", about: "One look at the brokers: is anything refused, slow or full?",
		rows: []row{
			{"Is it well?", []panel{
				{"Up", "0 when /metrics does not answer.", "none", "stat", one(`up{job="millrace", instance=~"$instance"}`, "{{instance}}")},
				{"Offline partitions", "KAFKA_STORAGE_ERROR for these: millrace log check.", "none", "stat", one(gauge("millrace_broker_offline_partitions"), "{{instance}}")},
				{"Writes refused", "1 while the disk is nearly full.", "none", "stat", one(gauge("millrace_broker_storage_writes_refused"), "{{instance}}")},
				{"Partitions", "", "none", "stat", one(gauge("millrace_broker_partitions"), "{{instance}}")},
			}},
			{"Traffic", []panel{
				{"Requests", "By API.", "reqps", "", one(perSecond("millrace_broker_requests_total", "api"), "{{api}}")},
				{"Errors", "Error codes in responses.", "ops", "", one(perSecond("millrace_broker_request_errors_total", "api, error"), "{{api}} {{error}}")},
				{"Network", "Requests in, responses out.", "Bps", "", []series{
					{perSecond("millrace_broker_received_bytes_total", ""), "in"}, {perSecond("millrace_broker_sent_bytes_total", ""), "out"},
				}},
			}},
			{"Time of requests", []panel{
				{"Produce", "From the complete request to its response.", "s", "", quantiles("millrace_broker_request_seconds", `, api="Produce"`, "")},
				{"Produce by phase", "p99: local is the handler, wait the disk, queue earlier responses of the connection.", "s", "", one(
					`histogram_quantile(0.99, sum by (le, phase) (rate(millrace_broker_request_phase_seconds_bucket{`+node+`, api="Produce"}`+every+`)))`, "{{phase}}")},
				{"Fetch by phase", "p99: wait is for records to come; response reads them.", "s", "", one(
					`histogram_quantile(0.99, sum by (le, phase) (rate(millrace_broker_request_phase_seconds_bucket{`+node+`, api="Fetch"}`+every+`)))`, "{{phase}}")},
				{"Requests that wait", "Long polls, members in a rebalance, appends that wait for the disk.", "none", "", one(
					"sum by (api) (millrace_broker_pending_requests{"+node+"}) > 0", "{{api}}")},
			}},
			{"Disk", []panel{
				{"Flush", "acks=all waits for it.", "s", "", quantiles("millrace_broker_storage_flush_seconds", "", "")},
				{"Written and read", "Tail is memory, disk is cold data.", "Bps", "", []series{
					{perSecond("millrace_broker_storage_appended_bytes_total", ""), "appended"},
					{perSecond("millrace_broker_storage_read_tail_bytes_total", ""), "read from the tail"},
					{perSecond("millrace_broker_storage_read_disk_bytes_total", ""), "read from disk"},
				}},
				{"Room", "Producers are refused when free meets the reserve.", "bytes", "", []series{
					{gauge("millrace_broker_storage_disk_free_bytes"), "free {{instance}}"}, {gauge("millrace_broker_storage_disk_reserve_bytes"), "reserve {{instance}}"},
				}},
				{"Retention and compaction", "", "Bps", "", []series{
					{perSecond("millrace_broker_storage_deleted_bytes_total", ""), "deleted"},
					{perSecond("millrace_broker_storage_cleaner_read_bytes_total", ""), "compaction reads"},
					{perSecond("millrace_broker_storage_cleaner_written_bytes_total", ""), "compaction writes"},
				}},
			}},
			{"Clients", []panel{
				{"Connections", "By listener.", "none", "", one("sum by (instance, listener) (millrace_broker_connections{"+node+"})", "{{instance}} {{listener}}")},
				{"Refused and closed", "", "ops", "", []series{
					{perSecond("millrace_broker_connections_refused_total", ""), "refused"},
					{perSecond("millrace_broker_connections_closed_total", "reason"), "closed: {{reason}}"},
					{perSecond("millrace_broker_authentications_failed_total", "mechanism"), "not let in: {{mechanism}}"},
					{perSecond("millrace_broker_denied_total", "operation"), "denied: {{operation}}"},
				}},
				{"Throttled", "Seconds of waiting per second, by quota.", "s", "", one(perSecond("millrace_broker_quota_throttled_seconds_total", "quota"), "{{quota}}")},
			}},
			{"Process", []panel{
				{"Processor", "", "percentunit", "", one(`rate(process_cpu_seconds_total{job="millrace", instance=~"$instance"}[$__rate_interval])`, "{{instance}}")},
				{"Memory", "", "bytes", "", []series{
					{gauge("process_resident_memory_bytes"), "resident {{instance}}"},
					{gauge("go_memstats_heap_inuse_bytes"), "heap {{instance}}"},
					{gauge("millrace_broker_request_memory_bytes"), "requests {{instance}}"},
					{gauge("millrace_broker_storage_tail_bytes"), "tails {{instance}}"},
				}},
				{"Descriptors and goroutines", "", "none", "", []series{
					{gauge("process_open_fds"), "descriptors {{instance}}"}, {gauge("millrace_broker_storage_open_files"), "segments {{instance}}"}, {gauge("go_goroutines"), "goroutines {{instance}}"},
				}},
			}},
		},
	}
}

func topicsDashboard() dashboard {
	const topic = node + `, topic=~"$topic"`
	return dashboard{
		file: "millrace-topics.json", uid: "millrace-topics", title: "Millrace / Topics", about: "What goes into and out of topics, and how large they are.",
		variables: [][2]string{{"topic", "millrace_broker_topic_partitions"}},
		rows: []row{
			{"Traffic", []panel{
				{"Bytes in", "Record batches as they are stored.", "Bps", "", one("sum by (topic) (rate(millrace_broker_topic_received_bytes_total{"+topic+"}"+every+"))", "{{topic}}")},
				{"Bytes out", "", "Bps", "", one("sum by (topic) (rate(millrace_broker_topic_sent_bytes_total{"+topic+"}"+every+"))", "{{topic}}")},
				{"Records in", "From the growth of the end offsets.", "ops", "", one("sum by (topic) (deriv(millrace_broker_partition_end_offset{"+topic+"}[5m]))", "{{topic}}")},
			}},
			{"Size", []panel{
				{"Bytes on disk", "", "bytes", "", one("sum by (topic) (millrace_broker_partition_size_bytes{"+topic+"})", "{{topic}}")},
				{"Largest partitions", "", "bytes", "", one("topk(10, millrace_broker_partition_size_bytes{"+topic+"})", "{{topic}} {{partition}}")},
				{"Offsets that are held", "End less start; compaction leaves gaps.", "none", "", one(
					"sum by (topic) (millrace_broker_partition_end_offset{"+topic+"} - millrace_broker_partition_start_offset{"+topic+"})", "{{topic}}")},
			}},
			{"All", []panel{
				{"Topics by size", "", "bytes", "table", one("topk(50, sum by (topic) (millrace_broker_partition_size_bytes{"+topic+"}))", "{{topic}}")},
				{"Series complete", "0 when the node has more topics or partitions than /metrics tells of.", "none", "stat", one(gauge("millrace_broker_partition_series_complete"), "{{instance}}")},
			}},
		},
	}
}

func groupsDashboard() dashboard {
	const group = node + `, group=~"$group"`
	return dashboard{
		file: "millrace-groups.json", uid: "millrace-groups", title: "Millrace / Groups and lag", about: "How far consumers are behind, and whether they get to work at all.",
		variables: [][2]string{{"group", "millrace_broker_group_lag"}},
		rows: []row{
			{"Lag", []panel{
				{"Lag by group", "Records between the committed offset and the end.", "none", "", one("sum by (group) (millrace_broker_group_lag{"+group+"})", "{{group}}")},
				{"Growth", "Records per second by which the lag grows; below 0 it shrinks.", "none", "", one("sum by (group) (deriv(millrace_broker_group_lag{"+group+"}[10m]))", "{{group}}")},
				{"Largest lags of partitions", "", "none", "", one("topk(10, millrace_broker_group_lag{"+group+"})", "{{group}} {{topic}} {{partition}}")},
			}},
			{"Coordinator", []panel{
				{"Groups", "By state.", "none", "", one("sum by (state) (millrace_broker_groups{"+node+"})", "{{state}}")},
				{"Rebalances", "", "ops", "", one(perSecond("millrace_broker_group_rebalances_total", ""), "rebalances")},
				{"Commits", "", "reqps", "", one(`sum by (api) (rate(millrace_broker_requests_total{`+node+`, api=~"OffsetCommit|TxnOffsetCommit|OffsetFetch"}`+every+`))`, "{{api}}")},
				{"Errors", "", "ops", "", []series{
					{`sum by (api, error) (rate(millrace_broker_request_errors_total{` + node + `, api=~"JoinGroup|SyncGroup|Heartbeat|OffsetCommit|OffsetFetch|ConsumerGroupHeartbeat|FindCoordinator"}` + every + `))`, "{{api}} {{error}}"},
					{perSecond("millrace_broker_group_append_errors_total", ""), "appends that failed"},
					{perSecond("millrace_broker_group_requests_refused_total", ""), "refused"},
				}},
			}},
			{"Is it all?", []panel{
				{"Lag complete", "0 when there are more committed offsets than /metrics tells of.", "none", "stat", one(gauge("millrace_broker_group_lag_complete"), "{{instance}}")},
			}},
		},
	}
}

func transactionsDashboard() dashboard {
	return dashboard{
		file: "millrace-transactions.json", uid: "millrace-transactions", title: "Millrace / Transactions", about: "Open transactions, and who waits for them.",
		rows: []row{
			{"Open", []panel{
				{"Open transactions", "", "none", "", one(gauge("millrace_broker_open_transactions"), "{{instance}}")},
				{"Age of the oldest", "Readers of committed records wait at its start.", "s", "", one(gauge("millrace_broker_oldest_transaction_seconds"), "{{instance}}")},
				{"Partitions that wait", "Above 0 without open transactions: millrace txn find-hanging.", "none", "", one(gauge("millrace_broker_undecided_partitions"), "{{instance}}")},
			}},
			{"Readers of committed records", []panel{
				{"Records that they cannot read yet", "The largest distances from the stable offset to the end.", "none", "", one(
					"topk(10, millrace_broker_partition_end_offset{"+node+"} - millrace_broker_partition_stable_offset{"+node+"} > 0)", "{{topic}} {{partition}}")},
			}},
			{"Coordinator", []panel{
				{"Ids by state", "", "none", "", one("sum by (state) (millrace_broker_transactional_ids{"+node+"})", "{{state}}")},
				{"Ended", "", "ops", "", []series{
					{perSecond("millrace_broker_transaction_completed_total", ""), "completed"}, {perSecond("millrace_broker_transaction_timeouts_total", ""), "timed out"},
				}},
				{"Errors", "", "ops", "", []series{
					{perSecond("millrace_broker_transaction_marker_errors_total", ""), "markers"},
					{perSecond("millrace_broker_transaction_append_errors_total", ""), "appends"},
					{perSecond("millrace_broker_transaction_requests_refused_total", ""), "refused"},
					{`sum by (api, error) (rate(millrace_broker_request_errors_total{` + node + `, api=~"InitProducerID|AddPartitionsToTxn|AddOffsetsToTxn|EndTxn|TxnOffsetCommit"}` + every + `))`, "{{api}} {{error}}"},
				}},
			}},
		},
	}
}

func pipelinesDashboard() dashboard {
	return dashboard{
		file: "millrace-pipelines.json", uid: "millrace-pipelines", title: "Millrace / Agent and pipelines", about: "From files to Elasticsearch: where lines are, and where they stop.",
		rows: []row{
			{"Agent", []panel{
				{"Lines", "Read from files, and acknowledged by the broker.", "ops", "", []series{
					{perSecond("millrace_agent_lines_read_total", ""), "read"}, {perSecond("millrace_agent_lines_acked_total", ""), "acknowledged"},
				}},
				{"Not acknowledged yet", "", "bytes", "", one(gauge("millrace_agent_unacked_bytes"), "{{instance}}")},
				{"Lost, cut, sent again", "", "ops", "", []series{
					{perSecond("millrace_agent_lines_lost_total", ""), "lost"}, {perSecond("millrace_agent_lines_cut_total", ""), "cut"}, {perSecond("millrace_agent_batch_retries_total", ""), "batches again"},
				}},
				{"Files", "", "none", "", []series{{gauge("millrace_agent_files_known"), "known {{instance}}"}, {gauge("millrace_agent_files_open"), "open {{instance}}"}}},
			}},
			{"Pipelines", []panel{
				{"Lag", "Records that are not indexed yet.", "none", "", one("sum by (pipeline) (millrace_pipeline_lag_records{"+node+"})", "{{pipeline}}")},
				{"Records and documents", "", "ops", "", []series{
					{perSecond("millrace_pipeline_records_read_total", "pipeline"), "{{pipeline}} read"},
					{perSecond("millrace_pipeline_documents_indexed_total", "pipeline"), "{{pipeline}} indexed"},
					{perSecond("millrace_pipeline_records_dropped_total", "pipeline"), "{{pipeline}} dropped"},
				}},
				{"Bulk requests", "p99 of the time until the last document is acknowledged.", "s", "", one(
					"histogram_quantile(0.99, sum by (le, pipeline) (rate(millrace_pipeline_bulk_seconds_bucket{"+node+"}"+every+")))", "{{pipeline}}")},
				{"Trouble", "", "ops", "", []series{
					{perSecond("millrace_pipeline_parse_failures_total", "pipeline"), "{{pipeline}} not parsed"},
					{perSecond("millrace_pipeline_documents_dead_lettered_total", "pipeline"), "{{pipeline}} dead letters"},
					{perSecond("millrace_pipeline_bulk_retries_total", "pipeline"), "{{pipeline}} again"},
				}},
			}},
			{"Alerting and search node", []panel{
				{"Alerts", "", "ops", "", []series{
					{perSecond("millrace_alerts_raised_total", "rule"), "raised {{rule}}"}, {perSecond("millrace_alerting_deliveries_total", "notifier, result"), "{{notifier}} {{result}}"},
				}},
				{"Search requests", "", "reqps", "", one(perSecond("millrace_search_requests_total", "api, status"), "{{api}} {{status}}")},
				{"Search time", "p99", "s", "", one("histogram_quantile(0.99, sum by (le, api) (rate(millrace_search_request_seconds_bucket{"+node+"}"+every+")))", "{{api}}")},
				{"Mirror lag", "", "none", "", one("sum by (topic) (millrace_mirror_lag_records{"+node+"})", "{{topic}}")},
			}},
		},
	}
}
