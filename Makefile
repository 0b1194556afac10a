# The two commands are `make conform` and `make test`. Both install what they
# need, and say so before (ci/install.sh). What they make is in .cache, bin and
# report, and in Go's own caches.
# This file chooses the build tags and link flags, so that nobody has to.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CACHE  := $(CURDIR)/.cache
# ci/install.sh puts a Go here where the system's is too old.
export PATH := $(CACHE)/go/bin:$(PATH)
REPORT ?= report
SEEDS  ?= 1
LEVEL  ?= quick

# fdbimpl on the stand-in: the official binding, our header, and an empty
# libfdb_c whose functions the same binary provides (see fdbsim/README.md).
SIM      := CGO_ENABLED=1 CGO_CFLAGS="-I$(CURDIR)/fdbsim/include" CGO_LDFLAGS="-L$(CURDIR)/fdbsim/lib"
SIM_TAGS := fdb,fdbsim
SIM_RACE := ./fdbsim/... ./fdbimpl/...
# These run one step at a time, in each order of steps: they have no races, and as many
# schedules as there is time for.
SCHEDULED := (InTwoOperations|OfTwoOperations|OfThreeClaims|OfGuardedWrites|OfClaimTxn|BrokenSettle|ReadsThatCommute)
EXPLORE   ?= most
# What has concurrency of its own is tested with the race detector, and only that: it
# makes a test three to ten times slower.
RACE_PKGS := . ./history ./internal/serverctl ./internal/tlc ./keeper/... ./linearizability/... ./memimpl/... ./serving ./spec/smt
# What one goroutine does there, thousands of times, is tested without it.
IN_ORDER  := EqualsReference|NamesPassThrough|EveryBit|EveryCut|OneFault|Mixtures|TwoFaults|UnderEveryFault
# The rest of what needs neither C compiler nor tag. fdbsim and fdbimpl are tested with
# their tags, in which all their tests are, and spec/prove beside the proofs (prove).
PLAIN_PKGS = $$(go list ./... | grep -vE '/(adapt|conformance|cmd/conform|examples|fdbsim|fdbimpl|spec/prove)(/|$$)' | grep -vFx "$$(go list $(RACE_PKGS))")
# These judge whole registries, hundreds of them: in full without the race
# detector, which makes them ten times slower, and in part with it. The wrong and the
# right registries are judged in short form; make test-long judges them in full.
# The command is tested once, with all that it can have in it (unit-sim).
SUITE_PKGS = $$(go list ./adapt ./conformance/... ./examples/... | grep -vE '/conformance/(broken|sound)$$')
BOARD_PKGS = ./conformance/broken ./conformance/sound
# What has other files without FoundationDB than with it.
TAGLESS = ./cmd/... ./examples/internal/counters/infdb
# Modules of their own, which ./... does not reach.
MODULES = examples/backends examples/clients examples/protoactor examples/tutorial

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: conform
conform: bin/conform ## judge the shipped registries and the broken ones, write the report; LEVEL=thorough for hours
	bin/conform run shipped --seeds $(SEEDS) --level $(LEVEL) --report $(REPORT)
	bin/conform mutants --level $(LEVEL) --report $(REPORT)
	@echo "open $(REPORT)/index.html"

# lint and compiled keep all processors busy by themselves, and compile what several of
# the other parts need. These wait for each other in nothing, and much of what they test
# is real time, in which a processor is idle. JOBS of them run at a time, the longest first.
JOBS ?= 2

.PHONY: test
test: tools ## all checks and tests
	$(MAKE) lint
	$(MAKE) compiled
	$(MAKE) --jobs $(JOBS) --output-sync=line unit-suite unit-sim unit-race spec unit prove simulate tutorial

# Tests make much garbage and keep little: where the heap may grow to five times what is
# live, they take a quarter to a third less processor time. What was vetted as a whole go
# test does not vet again.
conform test test-long check: export GOGC = 400
conform test test-long check: export GOMEMLIMIT = 2GiB
test test-long check: export GOFLAGS += -vet=off

.PHONY: compiled
compiled: tools bin/conform
	$(SIM) go build -race -tags $(SIM_TAGS) $(RACE_PKGS) $(SIM_RACE) ./conformance ./reference

# What Go has tested already it does not test again.
.PHONY: check
check: ## at every save: format, vet, unit tests in short form with the specification's graphs, the suite on memimpl
	@bad=$$(git ls-files '*.go' | xargs gofmt -l); test -z "$$bad" || { echo "$$bad" >&2; exit 1; }
	go vet ./...
	go test -short $(RACE_PKGS) $(PLAIN_PKGS) ./spec/prove
	go test -short -run 'TestMemimpl$$' ./conformance

.PHONY: tools
tools:
	@ci/install.sh all

.PHONY: compilers
compilers:
	@ci/install.sh build

.PHONY: lint
lint: tools ## gofmt, go vet, staticcheck
	@bad=$$(find . -name .cache -prune -o -name '*.go' -print | xargs gofmt -l); test -z "$$bad" || { echo "$$bad" >&2; exit 1; }
	$(SIM) go vet -tags $(SIM_TAGS) ./...
	go vet $(TAGLESS)
	go vet -tags yield ./memimpl/... ./conformance
	for m in $(MODULES); do (cd $$m && go vet ./...) || exit; done
	cd examples/protoactor && $(SIM) go vet -tags $(SIM_TAGS) .
	$(SIM) go tool staticcheck -tags $(SIM_TAGS) ./...
	go tool staticcheck $(TAGLESS)

.PHONY: unit unit-race unit-plain unit-suite unit-boards unit-modules unit-special
unit: unit-suite unit-race unit-boards unit-plain unit-special unit-modules ## tests of everything that needs no FoundationDB client

unit-race: tools
	go test -race -timeout 30m -skip '$(IN_ORDER)|^TestSimulation' $(RACE_PKGS)
	go test -race -timeout 30m -run '^TestSimulation' ./keeper -sim.hours 20 # make simulate has more
	go test -run '$(IN_ORDER)' ./memimpl/...
	go test -race -short -run 'TestMemimpl$$/^(concurrent|handles|contexts|schedules)$$|Instances' ./conformance
	go test -race -run Explore ./reference # the rest of it has no concurrency
	go test -race -short -skip Graphs ./spec/prove # make prove compares them, all

unit-plain: tools
	go test $(PLAIN_PKGS)

unit-suite: tools
	go test -p 4 -timeout 30m $(SUITE_PKGS)

unit-boards: tools
	go test -short -parallel 4 -timeout 30m $(BOARD_PKGS)

unit-modules: tools
	cd examples/backends && go test -short ./...
	cd examples/clients && go test ./...
	cd examples/protoactor && go test ./...

# What a test can be told to do in full.
unit-special: tools
	go test -run Schedules ./conformance/broken
	go test -tags yield -run Schedules ./conformance

.PHONY: tutorial
tutorial: tools ## the registry of docs/tutorial.md, in a module of its own
	cd examples/tutorial && go test -short .

.PHONY: fresh
fresh: ## the two commands on minimal systems made for it; needs root, debootstrap and the mirror
	ci/fresh.sh bookworm root
	ci/fresh.sh bookworm sudo make test
	ci/fresh.sh trixie sudo

.PHONY: unit-sim unit-sim-race unit-sim-explore unit-sim-rest
unit-sim: unit-sim-race unit-sim-explore unit-sim-rest ## tests of fdbsim and fdbimpl through the official binding on the stand-in

unit-sim-race: tools
	$(SIM) go test -timeout 30m -race -tags $(SIM_TAGS) -skip '$(SCHEDULED)' $(SIM_RACE)

unit-sim-explore: tools
	FDBIMPL_EXPLORE=$(EXPLORE) $(SIM) go test -timeout 30m -tags $(SIM_TAGS) -run '$(SCHEDULED)' ./fdbimpl

unit-sim-rest: tools
	$(SIM) go test -timeout 30m -tags $(SIM_TAGS) ./cmd/conform ./cmd/registryctl
	$(SIM) go test -timeout 30m -tags $(SIM_TAGS) -run 'OnFoundationDB|RealTime' ./keeper
	$(SIM) go test -timeout 30m -tags $(SIM_TAGS) -run InFoundationDB ./examples/internal/counters/infdb
	cd examples/protoactor && $(SIM) go test -timeout 30m -tags $(SIM_TAGS) -run InFoundationDB .
	$(SIM) go test -timeout 30m -tags $(SIM_TAGS) -short -run 'Schedules|TestConformance$$/edges|TestConformance$$/extremes' ./fdbimpl/fdbtest

# Each target for FUZZTIME; with FUZZTOTAL all of them together for that time.
FUZZTIME  ?= 10s
FUZZTOTAL ?= 0s
FUZZ      ?= .

.PHONY: fuzz
fuzz: ## every fuzz target of the tree for FUZZTIME each, or FUZZTOTAL together; FUZZ=expression for some
	$(SIM) go run ./ci/fuzz -tags $(SIM_TAGS) -each $(FUZZTIME) -total $(FUZZTOTAL) -only '$(FUZZ)'

.PHONY: test-long
test-long: test ## all checks and tests, the scoreboards in full, the state graphs made anew, and one hour of fuzzing
	go test -timeout 60m $(BOARD_PKGS)
	$(MAKE) unit-sim-explore EXPLORE=all
	$(MAKE) spec-graphs
	$(MAKE) simulate HOURS=10000
	$(MAKE) fuzz FUZZTOTAL=1h

HOURS ?= 2000

.PHONY: simulate
simulate: tools ## 2,000 simulated hours of clusters under trouble; HOURS=10000, as in test-long
	go test -run 'SimulationKeepsEveryGuarantee/memimpl' -timeout 20m -v ./keeper -sim.hours $(HOURS)

.PHONY: spec spec-graphs
spec: tools bin/conform ## TLC on every configuration of the specification's manifest
	bin/conform spec

# A graph names the modules that it was made of, which unit-plain compares, and make prove
# finds the steps of all its states once more without TLC: so this is only in test-long.
spec-graphs: tools ## the committed state graphs against TLC
	go run ./ci/graphs -check

.PHONY: prove
prove: tools bin/conform ## prove the specification's safety for any number of nodes (spec/prove)
	bin/conform prove
	PROVE_GRAPHS=all go test ./spec/prove

FDB_PKGS ?= ./fdbimpl/... ./fdbsim/...
.PHONY: test-fdb
test-fdb: tools ## the same tests on a real cluster: FDB_CLUSTER_FILE=… make test-fdb
	@test -n "$(FDB_CLUSTER_FILE)" || { echo "set FDB_CLUSTER_FILE to the cluster file of a cluster that may be written to" >&2; exit 2; }
	go test -p 1 -race -timeout 30m -tags fdb $(FDB_PKGS) # one at a time: with FDB_SERVER_CTL they stop the server
	go test -race -tags fdb -run RealTime ./keeper

.PHONY: fdb
fdb: tools ## start a FoundationDB from the installed packages and run test-fdb on it
	ci/fdb.sh

.PHONY: backends
backends: tools ## judge registries on PostgreSQL, Redis and etcd, installed from the system's packages
	examples/backends/run.sh

# A benchmark of many operations runs until its time is over, one of a whole
# search or judgement once: COUNT=6 for benchstat, BENCH=Suite for some of them.
BENCH     ?= .
COUNT     ?= 1
BENCHTIME ?= 300ms
RUN_BENCH  = go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) -timeout 0

.PHONY: bench
bench: ## all benchmarks in one run, in a form that benchstat reads (docs/benchmarks.md)
	@$(RUN_BENCH) $$(go list ./... | grep -vE '/(cmd/conform|keeper)$$')
	@$(SIM) $(RUN_BENCH) -tags $(SIM_TAGS) ./fdbimpl ./fdbsim/... ./keeper ./cmd/conform

BENCH_OUT ?= bench.txt
BENCHSTAT  = @echo && go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da -table ''

.PHONY: bench-tables
bench-tables: ## the tables of docs/benchmarks.md, of what make bench printed into bench.txt
	$(BENCHSTAT) -filter '.name:Store .unit:ns/op' -row /op,/load,/goroutines -col '/impl@(table memimpl)' $(BENCH_OUT)
	$(BENCHSTAT) -filter '.name:Durable .unit:ns/op' -row /op,/goroutines -col '/impl@(bbolt.Update bbolt.Batch memimpl)' $(BENCH_OUT)
	$(BENCHSTAT) -filter '.name:Operation .unit:ns/op' -row /op,/goroutines -col '/impl@(binding fdbimpl)' $(BENCH_OUT)
	$(BENCHSTAT) -filter '.name:Recorder .unit:ns/op' -row /op,/goroutines -col /recorded $(BENCH_OUT)
	$(BENCHSTAT) -filter '.name:Check .unit:(ops/s OR peak-MB)' -row /ops,/actors,/unknown -col '/hints@(false true)' $(BENCH_OUT)
	@echo && grep -A1 -E '^--- BENCH|^skipped' $(BENCH_OUT) || true
	$(BENCHSTAT) -filter '.name:Explore .unit:ns/op' -row /model -col '/impl@(tlc explorer)' $(BENCH_OUT)
	$(BENCHSTAT) -filter '.name:Suite .unit:(ns/op OR histories)' -row /backend $(BENCH_OUT)

.PHONY: clean
clean: ## remove everything the other commands made
	rm -rf $(CACHE) bin $(REPORT)

bin/conform: compilers FORCE
	$(SIM) go build -buildvcs=false -tags $(SIM_TAGS),yield -o $@ ./cmd/conform

.PHONY: FORCE
FORCE:
