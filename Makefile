# Everything a developer or CI runs. `make help` lists the targets; they need Python 3.10+ and pip, nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

FAST_TESTS := tests/unit tests/engine tests/contracts tests/providers/test_kit.py tests/providers/test_sqlite.py
# One scenario or two of each kind; `make compat` runs them all.
FAST_SCENARIOS := hello or activity_retry or timer or signal or query or continue_as_new

# The provider example is a package of its own; a test installs it.
EXAMPLES := examples/agent examples/daily_report examples/money_transfer

# Most of these tests wait for something; the comparison plays its scenarios side by side itself, in one process.
SIDE_BY_SIDE := -n 3 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo install test check compat samples faults moves lists environments bench lint format types imports docs clean

# $(call phase,name,command): run a step, say what it is and how long it took.
define phase
@echo "==> $(1)"; begin=$$(date +%s); $(2); status=$$?; echo "<== $(1): $$(( $$(date +%s) - begin )) s"; exit $$status
endef

# $(call both,command,command): run the second also when the first failed, and fail when one of them did.
both = failed=0; { $(1); } || failed=1; { $(2); } || failed=1; exit $$failed

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## Run a workflow on a SQLite file and show its history: no server, nothing to set up
	@$(BIN)/python examples/demo.py

install: $(VENV)/.test ## Install the package and all that tests need into .venv

test: $(VENV)/.test ## Run every check and every test there is (what CI runs)
	$(call phase,lint,$(MAKE) --no-print-directory -s lint)
	$(call phase,types,$(MAKE) --no-print-directory -s types)
	$(call phase,imports,$(MAKE) --no-print-directory -s imports)
	@$(call both,echo "==> tests"; $(PYTEST) -q $(SIDE_BY_SIDE) tests $(EXAMPLES),echo "==> comparison with Temporal"; $(PYTEST) -q compat_tests)

check: $(VENV)/.test ## Run the fast tier: lint, types, unit, engine and provider tests, a choice of scenarios (SQLite)
	$(call phase,lint,$(MAKE) --no-print-directory -s lint)
	$(call phase,types,$(MAKE) --no-print-directory -s types)
	$(call phase,imports,$(MAKE) --no-print-directory -s imports)
	$(call phase,fast tests,$(PYTEST) -q $(FAST_TESTS))
	@echo "==> scenarios"; $(PYTEST) -q compat_tests --target sqlite -k "$(FAST_SCENARIOS)"

compat: $(VENV)/.test ## Compare with the real Temporal server, event by event, on every database
	@$(PYTEST) -q compat_tests

samples: $(VENV)/.test ## Play every sample in every way on every database (half an hour)
	@$(PYTEST) -q compat_tests/test_samples.py --all-samples

faults: $(VENV)/.test ## Kill processes and databases in the middle of work, in every way there is (an hour)
	@$(PYTEST) -q tests/faults tests/transactions/test_crashes.py --all-faults

moves: $(VENV)/.test ## Move two hundred open workflows from the real server, and kill the move again and again
	@$(PYTEST) -q -s tests/migration --all-faults

lists: $(VENV)/.test ## Measure lists and counts among a million executions on Postgres (minutes)
	@$(PYTEST) -q -s tests/visibility/test_million.py --million

environments: $(VENV)/.test ## Compare the test environments with the SDK's: the same tests, and how long fifty take (minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,test-server]'
	@$(PYTEST) -q compat_tests/test_environments/test_time_skipping.py --test-server
	@$(BIN)/python -m compat_tests.test_environments.measure

bench: $(VENV)/.test ## Measure latency and throughput beside the real Temporal server
	@$(BIN)/python -m benchmarks

lint: $(VENV)/.test ## Check style and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .

format: $(VENV)/.test ## Put the code into the one format
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

types: $(VENV)/.test ## Check types, strictly
	@$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.test ## Check which part may import which
	@$(BIN)/lint-imports --no-logo

docs: $(VENV)/.test ## Draw the state diagrams and the tables of what runs on what and of the samples anew
	@$(BIN)/python docs/draw_states.py
	@$(BIN)/python docs/draw_matrix.py
	@$(BIN)/python docs/draw_samples.py

clean: ## Remove what was installed and built here
	rm -rf $(VENV) build dist *.egg-info .hotmesh .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed; choose one with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.demo
