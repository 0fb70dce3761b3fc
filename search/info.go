package search

import (
	"github.com/millrace/millrace/search/storage"
)

// Version is the version of Elasticsearch whose API the node speaks.
const Version = "8.19.0"

// info is GET /, which clients check before their first request.
func (n *Node) info(r *request) (answer, error) {
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	return ok(map[string]any{
		"name": "millrace", "cluster_name": "millrace", "cluster_uuid": n.state.ClusterUUID,
		"version": map[string]any{
			"number": Version, "build_flavor": "default", "build_type": "tar", "build_hash": "millrace",
			"build_date": "2025-07-23T00:00:00.000000000Z", "build_snapshot": false, "lucene_version": "9.12.2",
			"minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
		},
		"tagline": "You Know, for Search",
	})
}

// health is GET _cluster/health. One node has all there is: it is green.
func (n *Node) health(r *request) (answer, error) {
	r.ignore("wait_for_status", "wait_for_nodes", "wait_for_no_relocating_shards", "wait_for_no_initializing_shards", "wait_for_active_shards", "wait_for_events", "level", "local", "expand_wildcards")
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	indices, err := n.resolve(r.params["index"], indicesOptions{allowNoIndices: true})
	if err != nil {
		return answer{}, err
	}
	return ok(healthBody(indices))
}

func healthBody(indices []*storage.Index) map[string]any {
	return map[string]any{
		"cluster_name": "millrace", "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
		"active_primary_shards": len(indices), "active_shards": len(indices), "relocating_shards": 0, "initializing_shards": 0,
		"unassigned_shards": 0, "unassigned_primary_shards": 0, "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
		"task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0,
	}
}
