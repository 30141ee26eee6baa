# One target per thing a person does. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Where Python may not keep what it has compiled, every process of the tests compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run demo web check-web-code check-web check-lighthouse screenshots openapi test lint format types imports check-brokers check-servers check-system chaos check-events bench bench-quick check-deploy check-scale check-runbook histories lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: .venv/.ready ## Install everything into .venv (done by the others when needed)

.venv/.ready: requirements-dev.txt requirements-camt.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Remit needs Python 3.11 or newer: install it, or set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Remit needs Python 3.11 or newer; $$($(PYTHON) --version) is too old: set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing dependencies into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-camt.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup .web-if-possible ## Run the whole stack in the foreground until Ctrl-C
	@exec $(BIN)/remit run

demo: setup .web-if-possible ## Show what Remit does on real servers, check each claim, and audit the books
	@$(BIN)/remit demo

web: web/dist/index.html ## Build the pages for people, if something of them has changed

.PHONY: .web-if-possible
.web-if-possible:
	@$(MAKE) --no-print-directory web || echo "The pages for people cannot be built here: the API runs without them."

# Node is the machine's own, or comes in an environment of its own.
NODE_PATH_FIRST := PATH="$(CURDIR)/.venv/node/bin:$$PATH"
WEB_SOURCES = $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/vite.config.ts web/tsconfig.json

.venv/.node-ready: .venv/.ready requirements-node.txt
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(Number(a < 20 || (a === 20 && b < 19)))' \
		2>/dev/null || { echo "Installing Node into .venv/node" && $(PYTHON) -m venv .venv/node && \
		.venv/node/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.txt; }
	@touch $@

web/node_modules/.ready: web/package-lock.json web/package.json web/.npmrc .venv/.node-ready
	@echo "Installing what builds the pages into web/node_modules"
	@cd web && $(NODE_PATH_FIRST) npm ci --silent --no-audit --no-fund
	@touch $@

web/src/api/schema.gen.ts: docs/openapi.json web/node_modules/.ready
	@cd web && $(NODE_PATH_FIRST) npm run --silent client >/dev/null
	@touch $@

web/dist/index.html: web/node_modules/.ready web/src/api/schema.gen.ts $(WEB_SOURCES)
	@echo "Building the pages"
	@cd web && $(NODE_PATH_FIRST) npm run --silent build -- --logLevel warn

check-web-code: web/node_modules/.checked ## Lint, format, types and units of the pages, if something has changed

web/node_modules/.checked: web/src/api/schema.gen.ts web/biome.json $(WEB_SOURCES)
	@cd web && $(NODE_PATH_FIRST) npm run --silent lint
	@cd web && $(NODE_PATH_FIRST) npm run --silent types
	@cd web && $(NODE_PATH_FIRST) npm run --silent test -- --reporter=dot
	@touch $@

test: setup ## Lint, types, import contracts and tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target .before-tests
	@$(BIN)/pytest -n 3 --dist worksteal

# The longest first. Two at once: the types take one core for a minute.
.PHONY: .before-tests
.before-tests: types check-web-code .venv/.tests-compiled imports lint check-servers

# Else each of pytest's processes would compile all tests anew where somebody has just fetched or changed them.
.venv/.tests-compiled: .venv/.ready $(shell find tests -name '*.py')
	@$(BIN)/pytest --collect-only --quiet --quiet >.venv/.collected || { tail -n 30 .venv/.collected; exit 1; }
	@touch $@

check-system: setup .venv/.contract-ready check-servers ## Run Remit's own processes and tools that read its contract: starts, crashes, the demo
	@$(BIN)/pytest -n 3 --dist worksteal -m system tests

openapi: setup ## Write the contracts of the API and of events into docs/, from the code
	@$(BIN)/remit openapi --out docs/openapi.json
	@$(BIN)/remit events schema --out docs

# In an environment of their own: their dependencies are not ours.
.venv/.contract-ready: .venv/.ready requirements-contract.txt
	@echo "Installing the validator and the generator that read docs/openapi.json"
	@test -x .venv/contract/bin/python || $(PYTHON) -m venv .venv/contract
	@.venv/contract/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-contract.txt
	@touch $@

chaos: setup check-servers ## Long fault runs: kill everything in turn under load, and long random ledgers
	@seed=$${REMIT_CHAOS_SEED:-$$RANDOM$$RANDOM}; echo "REMIT_CHAOS_SEED=$$seed repeats this run"; \
	REMIT_CHAOS_SEED=$$seed REMIT_CHAOS_ROUNDS=$${REMIT_CHAOS_ROUNDS:-30} HYPOTHESIS_PROFILE=long \
		$(BIN)/pytest -m 'long or not long' tests/end_to_end tests/properties tests/devenv/test_demo.py \
			tests/workflows/test_versions.py tests/standing_orders

check-events: setup check-servers ## Kill workers, API and PostgreSQL under load, and count events that are lost or out of order
	@REMIT_EVENTS_TRANSFERS=$${REMIT_EVENTS_TRANSFERS:-1000} REMIT_EVENTS_SEEDS=$${REMIT_EVENTS_SEEDS:-10} \
		$(BIN)/pytest -s -m long tests/end_to_end/test_events.py

bench: .venv/.bench-ready check-servers ## Measure everything, 20 minutes on two quiet cores; results, table and charts in docs/benchmarks/
	@$(BIN)/remit bench --out docs/benchmarks

bench-quick: .venv/.bench-ready check-servers ## Measure what matters most, in under 3 minutes
	@$(BIN)/remit bench --quick

.venv/.bench-ready: .venv/.ready requirements-bench.txt
	@echo "Installing what only the bench needs into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

check-runbook: .venv/.runbook-ready check-servers ## Run every command and click of docs/operate/ (needs Chromium and psql)
	@$(BIN)/pytest -n 2 --dist loadfile --timeout 300 -m runbook tests/runbook

check-web: web .venv/.runbook-ready check-servers ## Open every page in a browser, and try to pay twice (needs Chromium)
	@$(BIN)/pytest -m web tests/web

check-lighthouse: web .venv/.runbook-ready check-servers ## Measure every page with Lighthouse, which it installs (needs Chromium)
	@cd tests/web/lighthouse && $(NODE_PATH_FIRST) npm ci --silent --no-audit --no-fund
	@$(BIN)/pytest -s -m web tests/web/test_lighthouse.py

screenshots: web .venv/.runbook-ready check-servers ## Write pictures of every page, and of Temporal's, to docs/pages/ (needs Chromium)
	@REMIT_SCREENSHOTS=docs/pages $(BIN)/pytest -m web tests/web -k pages_
	@REMIT_SCREENSHOTS=docs/pages $(BIN)/pytest -m runbook tests/runbook/clicks -k "each_of_its_steps or an_endpoint_waits_for"

.venv/.runbook-ready: .venv/.ready requirements-runbook.txt
	@echo "Installing what only the runbook's checks need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-runbook.txt
	@touch $@

check-scale: setup ## Fill books with 5 million transfers, and show the plans and times of lists, figures and audits
	@REMIT_SCALE_TRANSFERS=$${REMIT_SCALE_TRANSFERS:-5000000} REMIT_SCALE_FOLDER=$${REMIT_SCALE_FOLDER:-$$PWD/.remit/scale} \
		$(BIN)/pytest -s -p no:xdist tests/scale

check-deploy: setup ## Run the processes of docker-compose.yml natively, once, and move money through them
	@$(BIN)/python -m deploy.check_native

check-brokers: setup ## Run sinks, consumers and their faults on a real RabbitMQ and a real Kafka
	@$(BIN)/python -m devenv brokers
	@timeout --signal=INT --kill-after=30 $${REMIT_BROKERS_SECONDS:-600} $(BIN)/pytest -m brokers tests/brokers || { \
		status=$$?; test $$status -ne 124 || echo "check-brokers took longer than its limit"; exit $$status; }

check-servers: setup ## Bring the servers that tests and demo embed: built or downloaded once per machine
	@$(BIN)/python -m devenv

lint: setup ## Lint, and check the format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

format: setup web/node_modules/.ready ## Format the code and mend what the linter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@cd web && $(NODE_PATH_FIRST) npm run --silent format

types: setup ## Check the types
	@$(BIN)/mypy

imports: setup ## Check which room imports which
	@$(BIN)/lint-imports

histories: setup ## Record the workflow histories that the tests replay
	@$(BIN)/python -m tests.histories.record

lock: ## Choose the newest allowed versions and lock them with hashes (needs uv)
	uv pip compile pyproject.toml --quiet --upgrade --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 -o requirements.txt
	uv pip compile pyproject.toml --quiet --upgrade --group dev --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 -o requirements-dev.txt
	uv pip compile --group pyproject.toml:contract --quiet --upgrade --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 -o requirements-contract.txt
	uv pip compile --group pyproject.toml:node --quiet --upgrade --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 -o requirements-node.txt
	cd web && npm update --save --package-lock-only --silent --no-audit --no-fund
	uv pip compile pyproject.toml --quiet --upgrade --group dev --group bench --generate-hashes --no-emit-index-url \
		--universal --python-version 3.11 -c requirements-dev.txt -o requirements-bench.txt
	uv pip compile pyproject.toml --quiet --upgrade --group dev --group runbook --generate-hashes --no-emit-index-url \
		--universal --python-version 3.11 -c requirements-dev.txt -o requirements-runbook.txt

clean: ## Remove .venv and, after a question, the local state in .remit with its books
	@rm -rf .venv
	@if [ -e .remit/postgres ]; then \
		printf 'Delete the books in .remit, with every account and transfer? Type yes: ' >&2; \
		read -r answer || true; \
		if [ "$$answer" != yes ]; then echo "Kept .remit."; exit 1; fi; \
	fi; rm -rf .remit
