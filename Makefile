PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FUZZ_STAMP := $(VENV)/.atheris
MINISTACK := .ministack
MINISTACK_STAMP := $(MINISTACK)/.installed
PEERS := .peers
PEERS_STAMP := $(PEERS)/.installed
AUDIT := .audit
AUDIT_STAMP := $(AUDIT)/.installed

# The tests start many interpreters. What one has compiled another may read, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

# The pure rooms decide what happens; they have to be covered nearly completely.
CORE := adapter/codec,adapter/protocol,adapter/replay,adapter/engine
CORE_COVERAGE := 95

# Of tests/unit what is about the edge runs on moto, and a tracer makes it slow; of tests/simulation these few reach nearly
# all that it reaches in the pure rooms. What isn't named runs without the tracer.
EDGE := $(patsubst %,tests/unit/test_%.py,aws_wiring clients cold_start items logs marks patience sandbox sealing service \
	shortcuts sqs_timers stats telling template variables)
MEASURED := $(filter-out $(EDGE),$(wildcard tests/unit/test_*.py)) tests/unit/loop tests/simulation/scenarios \
	$(patsubst %,tests/simulation/test_%.py,aside code events maps mistakes outsiders placed_alike placement promises retries roots \
	schedules verifying waking)
# What storms runs in many threads, and a tracer makes it take ten times as long.
STORMS := storm or seed
PYTEST := --numprocesses=auto --dist=worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage browser search chaos fuzz lint mutations bench peers audit clean

help:  ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) $(MINISTACK_STAMP)  ## Create .venv and .ministack, with everything that demo and test need

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or later is needed; choose one with: make setup PYTHON=python3.13' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[testing,processes,cli,dev]'
	@touch $@

# A second DynamoDB for the store's contract, apart from .venv: it pins a botocore of its own.
$(MINISTACK_STAMP): constraints-ministack.txt
	$(PYTHON) -m venv --clear $(MINISTACK)
	$(MINISTACK)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-ministack.txt ministack
	@touch $@

demo: $(STAMP)  ## Run the example on a local cloud, crashes included
	$(BIN)/python -m handlers.demo

# The tests that the type checker reads show which mistakes it finds: about times, and about fakes.
lint: $(STAMP)  ## Style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/unit/test_times.py tests/unit/test_fakes.py
	$(BIN)/lint-imports

# coverage starts pytest, not the reverse: our own pytest plugin imports the package before pytest-cov would measure.
test: export REQUIRE_MINISTACK := 1
test: lint $(MINISTACK_STAMP)  ## Lint, all tests, coverage of the pure rooms
	$(BIN)/python -m coverage run --source=$(CORE) -m pytest $(PYTEST) -k 'not ($(STORMS))' $(MEASURED)
	$(BIN)/python -m coverage combine --quiet
	@echo 'The pure rooms, at least $(CORE_COVERAGE) %:'
	$(BIN)/python -m coverage report --fail-under=$(CORE_COVERAGE)
	$(BIN)/python -m pytest $(PYTEST) -k '$(STORMS)' $(MEASURED)
	$(BIN)/python -m pytest $(PYTEST) tests $(addprefix --ignore=,$(MEASURED))

coverage: $(STAMP)  ## What of the whole package the tests reach that play no faults; takes much longer than they do
	$(BIN)/python -m coverage run -m pytest $(PYTEST) tests/unit tests/contract tests/simulation
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

browser: export REQUIRE_CHROMIUM := 1
browser: $(STAMP)  ## The pages in a real browser; without chromium, test skips them (apt-get install chromium)
	$(BIN)/python -m pytest -rs tests/system/test_timeline_page.py

search: export SEARCH := 1
search: $(STAMP)  ## The same laws as test, tried harder, on moto where they are checked in memory
	$(BIN)/python -m pytest $(PYTEST) tests/unit tests/contract tests/simulation tests/faults

SEEDS ?= 1000
START ?= 0
JOBS ?= 2

chaos: $(STAMP)  ## Random programs in random weathers: make chaos SEEDS=1000 START=0 JOBS=2
	$(BIN)/python -m tests.faults.chaos --seeds $(SEEDS) --start $(START) --jobs $(JOBS)

TARGETS ?= all
SECONDS ?= 60

fuzz: $(FUZZ_STAMP)  ## Search for bad input that breaks a law, guided by coverage: make fuzz TARGETS=all SECONDS=60
	$(BIN)/python -m tests.faults.fuzz.guided $(TARGETS) --seconds $(SECONDS)

# Only here: heavy, and for Linux alone.
$(FUZZ_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt atheris
	@touch $@

mutations: $(STAMP)  ## Break the protocol on purpose, one bug at a time; each must be noticed by a test
	$(BIN)/python -m tests.faults.mutations --jobs $(JOBS)

bench: $(STAMP)  ## Print the tables of docs/performance.md: counts, dollars, virtual times, ratios; beside peers, if there are
	$(BIN)/python -m benchmarks

peers: $(PEERS_STAMP)  ## Create .peers, for make bench: what we measure beside us, apart from .venv

$(PEERS_STAMP): constraints-peers.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-peers.txt \
		async-durable-execution aws-durable-execution-sdk-python aws-durable-execution-sdk-python-testing
	@touch $@

audit: $(STAMP) $(AUDIT_STAMP)  ## What checkov says of the templates, as SAM expands them
	$(BIN)/python -m tests.support.audit $(AUDIT)/bin/checkov

# Apart from .venv: it brings some hundred packages.
$(AUDIT_STAMP): constraints-audit.txt
	$(PYTHON) -m venv --clear $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-audit.txt checkov
	@touch $@

clean:  ## Remove what was built, the environments included
	rm -rf $(VENV) $(MINISTACK) $(PEERS) $(AUDIT) .aws-sam .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
