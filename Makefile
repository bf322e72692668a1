# Everything that is done with the project; `make help` lists it.

# Interpreters to build for and to test with: all that are found, of the supported versions.
PYTHONS ?= $(shell tests/tools/find_interpreters)
# The one that runs the tools, the demo and the end-to-end tests.
PYTHON ?= $(lastword $(shell tests/tools/find_interpreters))
DEMO_SECONDS ?=
FAULT ?=
SOAK_SECONDS ?=
JOBS ?= $(shell nproc)
# Interpreters whose tests run at once: they wait more than they work.
JOBS_OF_PYTEST ?= $(shell expr 2 '*' $(JOBS))
# Groups of figures for bench and bench-compare: all, unless given.
FIGURES ?=

BUILD := build
TOOLS := $(BUILD)/venvs/tools
PACKAGE := $(BUILD)/package
RUN := tests/tools

.DEFAULT_GOAL := help
.PHONY: help debian-packages setup build venvs test test-unit test-python test-e2e test-endpoint test-grafana test-faults \
  test-faults-short soak test-matrix demo demo-talk demo-stack dashboards dashboards-pictures bench bench-compare \
  wheel lint format clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | \
	  awk -F'\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

# A target of its own: which interpreters have headers is known only afterwards.
debian-packages:
	@$(RUN)/install_debian_packages

setup: debian-packages ## install what is missing: Debian packages (as root), Python's (under build/)
	@$(RUN)/make_venv $(TOOLS) $(PYTHON) tests/requirements-tools.txt

build: setup ## build for every interpreter found, into build/package
	@echo "== building for: $(PYTHONS)"
	@$(RUN)/build $(BUILD)/cmake $(PACKAGE) "$(PYTHONS)" $(TOOLS) $(JOBS)

test: test-unit test-python test-e2e test-faults-short test-grafana ## run everything: GoogleTest, pytest, end to end

test-unit: build ## GoogleTest: the library without an interpreter
	@echo "== GoogleTest"
	@ctest --test-dir $(BUILD)/cmake --output-on-failure --parallel $(JOBS) --timeout 120

# One for each interpreter; the end-to-end tests run services in all of them.
venvs: build
	@for python in $(PYTHONS); do \
	  $(RUN)/make_test_venv $(BUILD) $(PACKAGE) $$python >/dev/null || exit 1; done

test-python: venvs ## pytest under every interpreter found
	@$(RUN)/test_interpreters $(BUILD) $(PACKAGE) $(JOBS_OF_PYTEST) $(PYTHONS)

test-e2e: venvs ## real servers, real Prometheus
	@$(RUN)/make_test_venv $(BUILD) $(PACKAGE) $(PYTHON) servers tests/requirements-servers.txt >/dev/null
	@echo "== pytest tests/e2e with $(PYTHON)"
	@$(RUN)/run_pytest e2e $$($(RUN)/make_test_venv $(BUILD) $(PACKAGE) $(PYTHON)) tests/e2e

# A part of test-e2e.
test-endpoint: venvs ## a service under gunicorn and its endpoint, with every interpreter found
	@echo "== pytest tests/e2e, the endpoint, with $(PYTHON)"
	@$(RUN)/run_pytest endpoint $$($(RUN)/make_test_venv $(BUILD) $(PACKAGE) $(PYTHON)) \
	  tests/e2e/test_gunicorn.py tests/e2e/test_endpoint.py

test-grafana: build ## dashboards and rules: their schema, promtool, every query against a real service
	@echo "== pytest tests/grafana with $(PYTHON)"
	@$(RUN)/run_pytest grafana $$($(RUN)/make_grafana_venv $(BUILD) $(PACKAGE) $(PYTHON)) tests/grafana

test-faults-short: venvs
	@echo "== pytest tests/faults, short, with $(PYTHON)"
	@$(RUN)/run_pytest faults $$($(RUN)/make_test_venv $(BUILD) $(PACKAGE) $(PYTHON)) tests/faults

test-faults: venvs ## kills, storms, refusals by the thousand (about an hour; FAULT=name: only those)
	@FAULTS=long $$($(RUN)/make_test_venv $(BUILD) $(PACKAGE) $(PYTHON)) -m pytest -q -rA \
	  tests/faults $(if $(FAULT),-k "$(FAULT)")

# What follows is built with Clang, for one interpreter, in folders of its own.
SANITIZED = $(RUN)/build_sanitized
ASAN := $(BUILD)/asan
BUILD_ASAN = $(SANITIZED) $(ASAN)/cmake address,undefined,fuzzer-no-link $(PYTHON) $(TOOLS) $(JOBS)
TSAN := $(BUILD)/tsan
IN_PROCESS := exactness free_lists calibration churn
FUZZ_SECONDS ?= 60

.PHONY: analysis-packages test-sanitized-short test-asan test-asan-unit test-tsan test-valgrind fuzz tidy
analysis-packages:
	@$(RUN)/install_debian_packages clang clang-tidy libclang-rt-dev llvm valgrind

test-asan-unit: setup analysis-packages
	@$(BUILD_ASAN) unit_tests
	@echo "== GoogleTest with AddressSanitizer"
	@UBSAN_OPTIONS=print_stacktrace=1 ctest --test-dir $(ASAN)/cmake --output-on-failure --parallel $(JOBS) --timeout 300

test-asan: test-asan-unit ## AddressSanitizer, UBSan: GoogleTest, and pytest with it in the interpreter
	@$(BUILD_ASAN) modules
	@cmake --install $(ASAN)/cmake --prefix $(ASAN)/package >/dev/null
	@echo "== pytest with AddressSanitizer in $(PYTHON)"
	@CHURN_SECONDS=10 $(RUN)/test_in_process $$($(RUN)/make_asan_venv $(BUILD) $(ASAN)/package $(PYTHON)) \
	  $(patsubst %,tests/python/test_%.py,$(IN_PROCESS))

# Its shadow of what is touched is resident, too; and it takes equal numbers in two descriptor tables
# for one descriptor.
NOT_WITH_TSAN := ResidencyCollector.(CountsWhatWasTouchedOnly|TellsSharedFromExclusive)|SamplerTest
test-tsan: setup analysis-packages ## ThreadSanitizer: GoogleTest
	@$(SANITIZED) $(TSAN)/cmake thread $(PYTHON) $(TOOLS) $(JOBS) unit_tests
	@echo "== GoogleTest with ThreadSanitizer"
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tests/unit/thread_sanitizer.supp \
	  ctest --test-dir $(TSAN)/cmake --output-on-failure --parallel $(JOBS) --timeout 300 \
	  --exclude-regex '$(NOT_WITH_TSAN)'

test-valgrind: build analysis-packages ## memcheck: GoogleTest
	@$(RUN)/test_under_valgrind $(BUILD)/cmake/tests/unit_tests tests/unit/memcheck.supp

fuzz: setup analysis-packages ## libFuzzer for all that others wrote, FUZZ_SECONDS each
	@$(BUILD_ASAN) fuzzers
	@echo "== fuzzing, $(FUZZ_SECONDS) seconds each"
	@$(RUN)/fuzz $(ASAN)/cmake/tests $(FUZZ_SECONDS) $(JOBS)

# What of this fits into every run.
test-sanitized-short: FUZZ_SECONDS := 5
test-sanitized-short: test-asan-unit test-tsan test-valgrind fuzz

soak: setup ## the demo for SOAK_SECONDS (600); fails if memory, descriptors or threads grow
	@$(RUN)/install_into $(BUILD)/venvs/demo $(PYTHON) tests/demo/requirements.txt
	@SOAK_SECONDS=$(SOAK_SECONDS) $(BUILD)/venvs/demo/bin/python tests/faults/soak.py

MATRIX := test-unit test-python
test-matrix: ## GoogleTest, pytest and the endpoint in other releases of Debian, for 3.13 to 3.15 (as root)
	@$(RUN)/test_in_debian trixie "$(MATRIX)"
	@$(RUN)/test_in_debian forky "$(MATRIX) test-endpoint" \
	  python3.14-dev python3.14-venv python3.15-dev python3.15-venv

demo: setup ## gunicorn with 4 workers under a load; ends with Ctrl-C or after DEMO_SECONDS
	@$(RUN)/install_into $(BUILD)/venvs/demo $(PYTHON) tests/demo/requirements.txt
	@DEMO_SECONDS=$(DEMO_SECONDS) $(BUILD)/venvs/demo/bin/python tests/demo/run

demo-talk: venvs ## where memory goes, an experiment that explains itself (COUNT=1000000)
	@$$($(RUN)/make_test_venv $(BUILD) $(PACKAGE) $(PYTHON)) -B tests/demo/talk $(COUNT)

BENCH := $(BUILD)/venvs/bench

demo-stack: build ## the demo with Prometheus and Alertmanager beside it; ends with Ctrl-C or after DEMO_SECONDS
	@DEMO_SECONDS=$(DEMO_SECONDS) $$($(RUN)/make_grafana_venv $(BUILD) $(PACKAGE) $(PYTHON)) tests/demo/run-stack

dashboards: setup ## write grafana/dashboards from grafana/boards
	@$$($(RUN)/make_grafana_venv $(BUILD) $(PACKAGE) $(PYTHON)) grafana/generate

dashboards-pictures: build ## draw the dashboards into grafana/pictures (npm and Chromium, some minutes)
	@$(RUN)/install_debian_packages chromium $$(command -v npm >/dev/null || echo nodejs npm)
	@$$($(RUN)/make_grafana_venv $(BUILD) $(PACKAGE) $(PYTHON)) tests/pictures/draw $(BUILD)/pictures

bench: build ## what it costs, as ratios measured in one run (FIGURES="walk startup")
	@$(RUN)/make_venv $(BENCH) $(PYTHON) tests/bench/requirements.txt
	@PYTHONPATH=$(CURDIR)/$(PACKAGE) $(BENCH)/bin/python -m tests.bench $(BUILD)/cmake $(FIGURES)

bench-compare: build ## the same, against BASE=COMMIT, in pairs
	@[ -n "$(BASE)" ] || { echo "make bench-compare BASE=COMMIT [FIGURES=...]" >&2; exit 2; }
	@$(RUN)/make_venv $(BENCH) $(PYTHON) tests/bench/requirements.txt
	@base=$$($(RUN)/build_base $(BASE) $(PYTHON)) && PYTHONPATH=$(CURDIR)/$(PACKAGE) \
	  $(BENCH)/bin/python -m tests.bench.compare "$(CURDIR)/$$base" $(CURDIR)/$(BUILD) $(FIGURES)

wheel: setup ## a wheel for the default interpreter, into dist/
	@$(TOOLS)/bin/python -m pip wheel --no-deps --wheel-dir dist .

lint: setup ## formatting, and static analysis of the Python part
	@$(TOOLS)/bin/ruff check . && $(TOOLS)/bin/ruff format --check .
	@git ls-files '*.cc' '*.h' | xargs $(TOOLS)/bin/clang-format --dry-run -Werror
	@$(TOOLS)/bin/mypy

tidy: setup analysis-packages ## clang-tidy over the library and the bindings
	@$(RUN)/lint_cpp $(BUILD)/lint/cmake $(PYTHON) $(TOOLS) $(JOBS)

format: setup ## format all sources
	@$(TOOLS)/bin/ruff format .
	@git ls-files '*.cc' '*.h' | xargs $(TOOLS)/bin/clang-format -i

clean: ## remove what was built
	rm -rf $(BUILD) dist
