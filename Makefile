# Proffer's commands. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build demo test simulate soak crashes lint format bench docs

help: ## List the commands
	@printf 'usage: make <command>\n\n'
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  \1\t\2/p' Makefile | expand -t 12

setup: ## Install missing system libraries and check the Swift version
	@Scripts/setup

build: setup ## Build everything in release mode
	@swift build -c release

# The demonstration replaces the shell, so that Ctrl-C reaches it directly and it cleans up itself.
demo: build ## Show a whole cluster at work on this machine
	@exec .build/release/proffer demo

# Simulated clusters keep every thread of the tests busy, and real ones every core: others that wait
# beside them would wait in vain.
test: setup ## Run all tests
	@swift build --build-tests
	@swift test --skip-build --disable-xctest --skip 'SimulationTests|CrashTests|DocumentTests'
	@swift test --skip-build --disable-xctest --filter DocumentTests
	@swift test --skip-build --disable-xctest --filter SimulationTests
	@swift build -c release --product proffer
	@.build/debug/proffer simulate --seeds 20 --hashes > .build/hashes-of-debug
	@.build/release/proffer simulate --seeds 20 --hashes > .build/hashes-of-release
	@diff .build/hashes-of-debug .build/hashes-of-release
	@.build/release/proffer simulate --seeds 2000
	@swift test --skip-build --disable-xctest --filter CrashTests

simulate: build ## Let 2,000 simulated clusters run in which things go wrong
	@.build/release/proffer simulate --seeds 2000

soak: build ## Let simulated clusters run until stopped, and count cluster-years
	@exec .build/release/proffer simulate --soak --from $$(( RANDOM * 1000003 + RANDOM ))

# The crash tests in release mode, at length: 20 of each case, then a million updates (two for each
# task) under a thousand kills. Give fewer with CRASH_TASKS and CRASH_KILLS.
crashes: setup ## Run the crash tests for hours; CRASH_TASKS=5000 is shorter
	@PROFFER_CRASH_REPEATS=20 PROFFER_CRASH_TASKS=$${CRASH_TASKS:-500000} \
		PROFFER_CRASH_KILLS=$${CRASH_KILLS:-1000} \
		swift test -c release -Xswiftc -enable-testing --disable-xctest --filter CrashTests

lint: setup ## Check the format and the rules of the source tree
	@Scripts/swift-files | xargs -0 swift format lint --strict --parallel
	@swift test --disable-xctest --filter TidyTests

format: setup ## Format all Swift files
	@Scripts/swift-files | xargs -0 swift format --in-place --parallel

bench: build ## Run the benchmarks; BENCH="--runs 3" is passed on to those of a cluster
	@swift run -c release --package-path Benchmarks bench --binaries .build/release $(BENCH)
	@swift run -c release --package-path Benchmarks node-bench --binaries .build/release
	@swift run -c release --package-path Benchmarks allocator-bench --json .build/allocator-bench.json
	@swift run -c release --package-path Benchmarks recovery-bench
	@swift run -c release --package-path Benchmarks scale-bench --json .build/scale-bench.json
	@if [[ -d Benchmarks/Sources/resource-bench ]]; then \
		swift run -c release --package-path Benchmarks resource-bench; fi

docs: setup ## Build the documentation of the public products
	@Scripts/docs
