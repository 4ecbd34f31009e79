# Everything a contributor needs, from an empty checkout. `make` lists it.
#
# Nothing has to be activated: each target uses the virtual environment in .venv, and makes it first where it is missing.

.DEFAULT_GOAL := help
.PHONY: help venv demo up test test-browser chaos fuzz-media bench-jobs bench-live bench-render check schema console format lock clean

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet

# A wheel brings Redis for 3.11 and 3.12, so those come first. A version manager's stub may stand in PATH without a Python
# behind it: only one that runs counts.
PYTHON ?= $(shell for each in python3.11 python3.12 python3; do \
	if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$each; break; fi; done)

LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

# If make is killed outright, so are the processes below it.
TETHERED = exec $(BIN)/python -I -S reelgraph/tether.py $$PPID KILL - -

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

venv: $(READY) ## make the virtual environment from the hashed lock

$(READY): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed; if it has another name: make PYTHON=/path/to/python3" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; fi
	@echo "Making the virtual environment in .venv with $(PYTHON); the first time takes a minute"
	@[ -e $(READY) ] || $(PYTHON) -m venv --clear .venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: venv ## run the whole story once, from registration to a checked video
	@$(TETHERED) $(BIN)/python -m reelgraph demo $(ARGS)

up: venv ## start everything and keep it running; Ctrl-C stops it
	@$(TETHERED) $(BIN)/python -m reelgraph up $(ARGS)

test: venv ## run the tests, e.g. make test ARGS="-k timeline"
	@$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadfile --ignore tests/browser $(ARGS)

test-browser: venv console/node_modules/.package-lock.json ## run the stories of GraphiQL in a real Chromium
	@if [ -z "$${CHROMIUM:-$$(command -v chromium || command -v chromium-browser)}" ]; then \
		echo "chromium is needed; on Debian: apt install chromium; if it is elsewhere: make test-browser CHROMIUM=/path/to/it" >&2; exit 1; fi
	@$(BIN)/python -m pytest tests/browser $(ARGS)

chaos: venv ## let everything go wrong around a thousand jobs, and check that nothing shows, e.g. make chaos ARGS="--seed 2"
	@$(TETHERED) $(BIN)/python -m tests.chaos.check $(ARGS)

fuzz-media: venv ## damage media at random, and check that nothing comes of it, e.g. make fuzz-media ARGS="--minutes 10 --seed 2"
	@$(TETHERED) $(BIN)/python -m tests.fuzz.media $(ARGS)

bench-jobs: venv ## measure jobs against their goals: latency, claims, fairness, recovery, e.g. make bench-jobs ARGS=latency
	@$(TETHERED) $(BIN)/python -m bench.jobs $(ARGS)

bench-live: venv ## measure live updates next to a raw relay: processor time and memory, e.g. make bench-live ARGS=shared
	@$(TETHERED) $(BIN)/python -m bench.live $(ARGS)

bench-render: venv ## measure renders against plain ffmpeg: processor time, changes, previews, e.g. make bench-render ARGS="short preview"
	@$(TETHERED) $(BIN)/python -m bench.render $(ARGS)

check: venv ## lint, format, types, layers, schema
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/python -m reelgraph schema --check

schema: venv ## write schema.graphql from the code
	@$(BIN)/python -m reelgraph schema --write

console: console/node_modules/.package-lock.json ## build GraphiQL from console/ into graph/console/static
	@npm --prefix console run --silent build

# npm writes this file last.
console/node_modules/.package-lock.json: console/package-lock.json
	@for each in node npm; do \
		if ! command -v $$each >/dev/null; then echo "$$each is needed (Node.js 20 or newer), for this target only" >&2; exit 1; fi; done
	@npm --prefix console ci --ignore-scripts --no-fund --no-audit
	@touch $@

format: venv ## format the code and repair what can be repaired
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## lock the dependencies of pyproject.toml again (needs uv)
	@$(LOCK) --extra embedded --extra dev -o requirements.lock $(ARGS)
	@$(LOCK) --constraints requirements.lock -o requirements-runtime.lock

clean: ## remove the virtual environment and the caches; data in .reelgraph stays
	@rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
