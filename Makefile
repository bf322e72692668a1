# Everything that is done with the project; `make help` lists it.

# Interpreters to build for and to test with: all that are found, of the supported versions.
PYTHONS ?= $(shell tests/tools/find_interpreters)
# The one that runs the tools, the demo and the end-to-end tests.
PYTHON ?= $(lastword $(shell tests/tools/find_interpreters))
# Of the same interpreter, so that `make demo` and `make test` share what they install.
E2E_PYTHONS ?= $(PYTHON)
DEMO_SECONDS ?=
JOBS ?= $(shell nproc)

BUILD := build
TOOLS := $(BUILD)/venvs/tools
PACKAGE := $(BUILD)/package
RUN := tests/tools

.DEFAULT_GOAL := help
.PHONY: help debian-packages setup build test test-unit test-python test-e2e demo bench wheel lint format clean

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

test: test-unit test-python test-e2e ## run everything: GoogleTest, pytest, end to end

test-unit: build ## GoogleTest: the library without an interpreter
	@echo "== GoogleTest"
	@ctest --test-dir $(BUILD)/cmake --output-on-failure --parallel $(JOBS) --timeout 120

test-python: build ## pytest under every interpreter found
	@for python in $(PYTHONS); do \
	  $(RUN)/run_pytest $(BUILD) $(PACKAGE) $$python tests/python || exit 1; done

test-e2e: build ## real gunicorn, real Prometheus
	@for python in $(E2E_PYTHONS); do \
	  $(RUN)/run_pytest $(BUILD) $(PACKAGE) $$python tests/e2e || exit 1; done

demo: setup ## gunicorn with 4 workers under a load; ends with Ctrl-C or after DEMO_SECONDS
	@$(RUN)/install_into $(BUILD)/venvs/demo $(PYTHON) tests/demo/requirements.txt
	@DEMO_SECONDS=$(DEMO_SECONDS) $(BUILD)/venvs/demo/bin/python tests/demo/run

bench: build ## what it costs, as ratios measured in one run
	@$(RUN)/make_venv $(BUILD)/venvs/bench $(PYTHON) tests/bench/requirements.txt
	@PYTHONPATH=$(CURDIR)/$(PACKAGE) $(BUILD)/venvs/bench/bin/python -m tests.bench $(BUILD)/cmake

wheel: setup ## a wheel for the default interpreter, into dist/
	@$(TOOLS)/bin/python -m pip wheel --no-deps --wheel-dir dist .

lint: setup ## formatting and static analysis of the Python part
	@$(TOOLS)/bin/ruff check . && $(TOOLS)/bin/ruff format --check .

format: setup ## format all sources
	@$(TOOLS)/bin/ruff format .
	@git ls-files '*.cc' '*.h' '*.c' | xargs $(TOOLS)/bin/clang-format -i

clean: ## remove what was built
	rm -rf $(BUILD) dist
