# make run    installs what is missing and serves
# make test   installs what is missing and passes all tests
# make check  what has to be green before a commit: format, lint, types, contracts, generated code, tests
# make soak   injects faults into real servers for MINUTES (30), in an order that SEED decides
# make bench  measures the gateway and the embedded model (needs gcc)

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV_VERSION := 0.13.9
UV := .tools/bin/uv
BIN := .venv/bin

.PHONY: run test check format lint types contracts generated unasync settings-page golden soak bench clean

run: .venv/installed
	$(BIN)/freddy serve

test: .venv/installed
	$(BIN)/pytest

check: format lint types contracts generated test

format: .venv/installed
	$(BIN)/ruff format --check src tests scripts bench

lint: .venv/installed
	$(BIN)/ruff check src tests scripts bench

types: .venv/installed
	$(BIN)/mypy

contracts: .venv/installed
	$(BIN)/lint-imports --no-cache

generated: .venv/installed
	$(BIN)/python scripts/unasync.py --check

unasync: .venv/installed
	$(BIN)/python scripts/unasync.py

soak: .venv/installed
	PYTHONPATH=tests:tests/api:tests/durability $(BIN)/python -m durability_soak --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED))

bench: .venv/installed
	$(BIN)/python bench/run.py

clean:
	rm -rf .venv .tools

$(UV):
	@test -n "$(PYTHON)" || { echo "Freddy needs Python 3.11 or newer; none was found on the PATH" >&2; exit 1; }
	@$(PYTHON) -m venv .tools || { rm -rf .tools; echo "Python's venv module is missing: on Debian and Ubuntu run 'apt-get install python3-venv'" >&2; exit 1; }
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# uv.lock pins every package with its hash. The interpreter is the one found above: none is downloaded.
.venv/installed: pyproject.toml uv.lock | $(UV)
	UV_PYTHON_DOWNLOADS=never $(UV) sync --frozen --all-extras --no-extra multilingual --python $(PYTHON)
	@touch $@
