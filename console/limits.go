package console

import "time"

// Bounds of the console.
const (
	// connectionsMax is the number of open connections; further ones wait.
	connectionsMax = 512
	// headerBytesMax bounds a request's head, and with it the query.
	headerBytesMax = 64 << 10
	// searchesMax and viewsMax are the numbers of requests that ask
	// Elasticsearch, and Kafka, at once.
	searchesMax = 8
	viewsMax    = 4
	// requestTimeout bounds one answer of the API.
	requestTimeout = 30 * time.Second
	// tailsMax is the number of live tails at once.
	tailsMax = 32
	// tailLife is how long a live tail runs; the page opens a new one after it.
	tailLife = 30 * time.Minute
	// tailInterval is the time between two looks for new lines.
	tailInterval = time.Second
	// tailLinesMax is the number of lines that one look sends; of more only
	// the newest are sent, with the number of those left out.
	tailLinesMax = 500
	// tailOverlap is how far back a look goes for lines that became visible
	// after newer ones.
	tailOverlap = 15 * time.Second
	// tailPastMax is how far back a tail may begin.
	tailPastMax = time.Minute
	// tailSeenMax bounds the ids that a tail remembers having sent.
	tailSeenMax = 50_000
	// pageSizeMax is the number of lines of one page.
	pageSizeMax = 500
	// sampleAgeMax is the age at which the view of the cluster is asked for again.
	sampleAgeMax = 2 * time.Second
	// rateWindow is the time that a rate is measured over, at least.
	rateWindow = 4 * time.Second
	// shutdownTimeout bounds an orderly end.
	shutdownTimeout = 3 * time.Second
)
