GO             ?= go
FUZZTIME       ?= 10s
GOLANGCI       := v2.15.0
LINT           := .cache/bin/golangci-lint-$(GOLANGCI)

# The race detector leaves out SQLite itself, which was translated from C: it is not ours, and watching it took a third of the time of the tests that use it.
RACE           := -race -gcflags=modernc.org/sqlite/lib='-race=false -d=checkptr=0'

.DEFAULT_GOAL := help
.PHONY: help build test race faults lint fmt vet tidy fuzz bench conformance check demo clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/transfer, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/ ./cmd/transfer

test: ## all tests but those against real Strapi servers, with the race detector
	$(GO) test $(RACE) -short -shuffle=on -timeout 30m ./...

race: ## the same tests twenty times over, for what only sometimes happens (PKG=./dispatcher/...)
	$(GO) test $(RACE) -shuffle=on -count=20 $(or $(PKG),./...)

faults: ## every fault of every message of a push and a pull through our own server, and kills of either side at each
	TRANSFER_FAULTS=1 $(GO) test -count=1 -timeout 30m -run 'SurvivesEvery|NoChangedBit|Killed' ./transfer/server

lint: $(LINT) ## golangci-lint, as configured in .golangci.yml
	$(LINT) run ./...

fmt: $(LINT) ## format the code
	$(LINT) fmt ./...

vet: ## go vet and gofmt, without golangci-lint
	$(GO) vet ./... && test -z "$$(gofmt -l . | tee -a /dev/stderr)"

tidy: ## fail if go.mod or go.sum are not tidy, or a module is not what go.sum says
	$(GO) mod tidy -diff && $(GO) mod verify

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@GO="$(GO)" .ci/fuzz "$(FUZZTIME)"

bench: ## run all benchmarks; with TRANSFER_CONFORMANCE=1 also those against the stock tools, which need Node
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

conformance: ## against real Strapi servers, and merges from each kind of database to each; needs Node, the first run installs Strapi into a cache
	TRANSFER_CONFORMANCE=1 $(GO) test -count=1 -p 1 -v -timeout 50m -run 'Conformance|MergeMakesTheSame' ./cmd/transfer ./providers/strapi ./transfer/transfertest/strapitest

check: vet lint test tidy ## what must pass before a push

demo: build ## a whole transfer on this machine, with sample content
	bin/transfer demo

clean: ## remove what make made
	rm -rf bin .cache

$(LINT):
	GOBIN="$(CURDIR)/.cache/bin" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	mv .cache/bin/golangci-lint $(LINT)
