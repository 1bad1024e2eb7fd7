# Triage Desk. `make up` runs it, `make test` and `make check` are what CI runs. Settings come from the environment or .env.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-compile

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up stop status test check bench demo health metrics logs trace db-shell db-reset backup restore lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## environment and packages, in .venv
setup-dev: $(VENV)/.dev ## and what tests and checks need

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found. Install Python 3.11 or newer, or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Triage Desk needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv --help >/dev/null 2>&1 && $(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Making the environment in $(VENV)."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: requirements.txt | $(BIN)/pip
	@echo "Installing packages."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing what tests and checks need."
	@$(PIP) -r requirements-dev.txt
	@touch $@

up: setup ## run the desk here; PORT and ADMIN_PASSWORD may be set
	@TRIAGE_UNDER_MAKE=1 exec $(MANAGE) up

stop: setup ## stop it from elsewhere
	@$(MANAGE) stop

status: setup ## what runs, where, and how much waits
	@$(MANAGE) status

health: setup ## ask the running desk for its health
	@$(MANAGE) health

metrics: setup ## the figures that Prometheus is told at /metrics
	@$(MANAGE) metrics

demo: setup ## send a few sample tickets to the running desk
	@$(MANAGE) demo

test: setup-dev ## all tests; ARGS="-k word" for some
	@.ci/test $(ARGS)

check: setup-dev ## format, lint, types, architecture, migrations, deploy check
	@.ci/check

bench: setup-dev ## the benchmarks; ARGS for some
	@$(BIN)/python -m bench $(ARGS)

logs: ## follow the logs of web and worker
	@mkdir -p var/log && touch var/log/web.log var/log/worker.log
	@tail -n 50 -F var/log/web.log var/log/worker.log

trace: setup ## all that is known of one correlation id: make trace ID=...
	@$(MANAGE) trace "$(ID)"

db-shell: setup ## psql on the desk's database
	@$(MANAGE) dbshell

db-reset: setup ## delete all data; YES=1 does not ask
	@$(MANAGE) reset_database $(if $(YES),--yes)

backup: setup ## the database into var/backups/
	@$(MANAGE) backup $(FILE)

restore: setup ## the database from a backup: make restore FILE=...
	@$(MANAGE) restore $(FILE) $(if $(YES),--yes)

LOCK := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock: setup-dev ## requirements.txt and requirements-dev.txt from pyproject.toml; ARGS=--upgrade for newer versions
	@$(LOCK) $(ARGS) --output-file requirements.txt pyproject.toml
	@$(LOCK) $(ARGS) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
