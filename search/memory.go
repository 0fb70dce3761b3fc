package search

import (
	"net/http"
	"sync/atomic"

	"github.com/millrace/millrace/search/apierror"
)

// memoryBudget bounds what all requests hold together.
type memoryBudget struct {
	name  string
	limit int64
	used  atomic.Int64
}

func newMemoryBudget(name string, limit int64) *memoryBudget {
	return &memoryBudget{name: name, limit: max(limit, 1<<20)}
}

// account is what one request holds. It belongs to one goroutine.
type account struct {
	budget *memoryBudget
	held   int64
}

// Grow takes more memory, or fails as Elasticsearch's circuit breaker does.
func (a *account) Grow(bytes int64) error {
	if total := a.budget.used.Add(bytes); total > a.budget.limit {
		a.budget.used.Add(-bytes)
		return &apierror.Error{
			Status: http.StatusTooManyRequests, Type: "circuit_breaking_exception",
			Reason: "[" + a.budget.name + "] Data too large: the memory of requests under way would pass its limit",
			Fields: map[string]any{"bytes_wanted": total, "bytes_limit": a.budget.limit, "durability": "TRANSIENT"},
		}
	}
	a.held += bytes
	return nil
}

// shrink gives memory back.
func (a *account) shrink(bytes int64) {
	a.budget.used.Add(-bytes)
	a.held -= bytes
}

// close gives everything back.
func (a *account) close() { a.shrink(a.held) }
