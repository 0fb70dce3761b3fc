# Millrace: the commands of its developers. "make test" is all that a change needs.

GO    ?= go
TOOL   = $(GO) tool -modfile=tools/go.mod
# The race detector needs a C compiler.
RACE  := $(shell command -v gcc >/dev/null 2>&1 && echo -race)

.PHONY: build test check generate bench fuzz kill-test crash-test conformance exchange bench-broker soak model clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o millrace ./cmd/millrace

# One package at a time: many start servers of their own on few processors.
test:
	$(GO) test $(RACE) -p 1 -timeout 30m ./...

check:
	@out="$$($(TOOL) gofumpt -l $$(git ls-files '*.go'))"; test -z "$$out" || { echo "not formatted, run make generate:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(TOOL) golangci-lint run ./...
	$(GO) test ./test/structure ./configs/...

# Brings generated files and the formatting up to date.
generate:
	$(GO) generate ./...
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

# The figures of docs/benchmarks.md, beside the peers in the same run.
bench:
	$(GO) test -timeout 60m -run '^$$' -bench Report -benchtime 1x -v ./test/bench

# The broker in many forms of load, beside Apache Kafka; writes its part of docs/benchmarks.md.
bench-broker:
	$(GO) test -timeout 120m -run '^$$' -bench Broker -benchtime 1x -v ./test/bench

# 200 MiB through ten kills -9, with embedded parts and with Apache Kafka and Elasticsearch.
kill-test:
	MILLRACE_E2E_MIB=200 MILLRACE_E2E_KILLS=10 $(GO) test -count=1 -timeout 60m -v -run Kills ./test/e2e

# Losses of power under a whole node, at 1000 changes of its disk, and exactly-once copies through 10 kills -9.
CRASHES ?= 1000
CRASH_SEED ?= 1
crash-test:
	MILLRACE_CRASHES=$(CRASHES) MILLRACE_CRASH_SEED=$(CRASH_SEED) $(GO) test -count=1 -timeout 120m -v -run 'TestANodeKeepsItsPromises' ./broker
	MILLRACE_E2E_COPY_KILLS=10 $(GO) test -count=1 -timeout 30m -v -run ExactlyOnceCopy ./test/e2e

# Other projects' test suites against the broker and against Apache Kafka; writes docs/compatibility.md.
conformance:
	MILLRACE_CONFORMANCE=full $(GO) test -count=1 -timeout 170m -v -run TestConformance ./test/conformance

# What Apache Kafka answers to every API, version and kind of input, asked of a real one anew, into broker/testdata.
exchange:
	$(GO) test -count=1 -timeout 60m -run '^Test(|Admin|More|Systematic)AnswersAreThoseOfApacheKafka|AnswerAsApacheKafka|AnsweredAsByApacheKafka' ./broker -rewrite

# Half an hour of mixed load: memory, descriptors and goroutines stay level.
soak:
	MILLRACE_SOAK_MINUTES=30 $(GO) test -count=1 -timeout 60m -v -run TestSoak ./test/soak

# A million random operations with a partition of the broker, against a model of it.
model:
	MILLRACE_MODEL_STEPS=1000000 $(GO) test -count=1 -timeout 120m -v -run TestPartitionAgainstModel ./broker/storage

# Every fuzz target for FUZZTIME.
FUZZTIME ?= 30s
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

clean:
	rm -f millrace
