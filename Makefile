# mlproxy: `make run` to see it, `make test` to trust it.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
RATE     ?= 500
DURATION ?= 10s
FUZZTIME ?= 20s
SOAK     ?= 1h
SWITCHES ?= 20

# One static binary. The version comes from here, so Go need not ask git (which refuses a clone owned by someone else).
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'

# Rooms with allocation tests: the race detector allocates for itself, so these run once more without it.
ALLOC := $(sort $(dir $(shell grep -rlE '^func Test[A-Za-z]*Alloc' --include='*_test.go' . 2>/dev/null)))

# Rooms with benchmarks.
PIECES := $(sort $(dir $(shell grep -rlE '^func Benchmark' --include='*_test.go' . 2>/dev/null)))

.DEFAULT_GOAL := help
.PHONY: help run build test lint load bench bench-save bench-pieces demo-fleet chaos soak clean clean-tools fmt setup vet race alloc fuzz always

help: ## this list
	@awk -F ':.*## ' '/^[a-z.\/%-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build, then show everything: model servers, canary, shadow, blue/green, real requests
	@bin/mlproxy demo

build: ## bin/mlproxy, one static binary
	@tools/step.sh "building bin/mlproxy $(VERSION)" env $(BUILD) -o bin/mlproxy ./cmd/mlproxy

test: setup vet race alloc ## everything: vet, unit and end-to-end tests with the race detector, allocations

setup:
	@tools/setup.sh
	@$(MAKE) --no-print-directory .bin/consul

vet:
	@tools/step.sh "go vet" go vet ./...

race:
	@tools/step.sh "go test -race (the first run compiles everything with the race detector, which takes minutes)" \
		go test -race -timeout 20m ./...

alloc:
	@$(if $(ALLOC),tools/step.sh "go test -run Alloc (without the race detector)" go test -run Alloc $(ALLOC),\
		echo "no allocation tests found: the hot path must have some (func TestAlloc...)" >&2; exit 1)

fuzz: ## every fuzz target for a while, two at once: make fuzz FUZZTIME=20s
	@tools/fuzz.sh $(FUZZTIME)

lint: .bin/golangci-lint .bin/gofumpt ## format, vet, linters, and a tidy go.mod
	@tools/lint.sh

fmt: .bin/gofumpt ## format all Go files as `make lint` wants them
	@.bin/gofumpt -w $$(git ls-files --cached --others --exclude-standard '*.go')

load: ## drive the running demo: make load RATE=500 DURATION=10s
	@go run ./bench/load -rate $(RATE) -duration $(DURATION)

bench: build ## what an exchange costs mlproxy, nginx and HAProxy: make bench BENCH="-cases small -rounds 7"
	@go run ./bench/compare -mlproxy bin/mlproxy $(BENCH)

bench-save: build ## the same for every case, kept in bench/results with a description of the machine
	@mkdir -p bench/results
	@go run ./bench/compare -mlproxy bin/mlproxy -cases all $(BENCH) -save bench/results/$(VERSION).json

bench-pieces: .bin/benchstat ## the pieces of the hot path, one by one, in nanoseconds and allocations: make bench-pieces OLD=pieces.txt
	@mkdir -p bin; go test -run '^$$' -bench . -benchmem -count 6 -benchtime 200ms $(PIECES) >bin/pieces.txt || { cat bin/pieces.txt; exit 1; }
	@.bin/benchstat $(OLD) bin/pieces.txt

demo-fleet: build .bin/consul ## three proxies and a Consul: switches by a key under load, and how long they took: make demo-fleet SWITCHES=20 RATE=500
	@go run ./bench/fleet -mlproxy bin/mlproxy -switches $(SWITCHES) -rate $(RATE)

chaos: build ## break model servers under load, see what users saw beside what is promised: make chaos CHAOS="-only kill -v"
	@go run ./bench/chaos -mlproxy bin/mlproxy $(CHAOS)

soak: build ## load, streams, uploads and faults for an hour, and a look whether anything grows: make soak SOAK=60s
	@go run ./bench/chaos -mlproxy bin/mlproxy -soak $(SOAK)

clean: ## remove what was built (keeps the tools in .bin; `make clean-tools` removes them too)
	@rm -rf bin
	@go clean -testcache

clean-tools: clean
	@rm -rf .bin

# Tools are pinned in modules of their own; tools/build.sh knows by the hash of go.sum whether a binary is still the pinned one.
.bin/golangci-lint: always
	@tools/build.sh golangci-lint lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "once; minutes"

.bin/gofumpt: always
	@tools/build.sh gofumpt lint mvdan.cc/gofumpt "once"

.bin/benchstat: always
	@tools/build.sh benchstat bench golang.org/x/perf/cmd/benchstat "once"

.bin/consul: always ## a genuine Consul server for tests; the first build takes 3 to 6 minutes
	@tools/build.sh consul consul github.com/hashicorp/consul "once; 3 to 6 minutes on two cores"
