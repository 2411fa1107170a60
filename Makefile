# make help   lists what there is; everything else is set up by what needs it.

UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --no-sync
PYTHON ?= python3

ENGINE ?= lancedb
SERVE ?= 1
NAME ?=
QUICK ?=
JSON ?=
TESTS ?= tests
SLOW ?=

BENCH_OPTIONS = $(if $(filter 1,$(QUICK)),--quick) $(if $(JSON),--json $(JSON))

.PHONY: help setup demo test check docs opensearch bench results evidence build browser
.DEFAULT_GOAL := help

help:  ## What one can make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

setup: $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)  ## Install everything into .venv, with its own uv if there is none
	$(UV) sync --frozen --quiet

demo: setup  ## Watch an index tune itself (ENGINE=opensearch: on a real node; SERVE=0: end after the report)
	$(RUN) desireline demo --engine $(ENGINE) $(if $(filter 0,$(SERVE)),--no-serve,--serve)

test: setup browser  ## The tests; starts an OpenSearch of its own, or takes OPENSEARCH_URL (TESTS=path: some; SLOW=1: hours of broken calls and killed nodes too)
	$(RUN) pytest $(if $(filter 1,$(SLOW)),,-m "not slow") $(TESTS)

browser:
	@./.ci/chromium

check: setup  ## Format, lint, types, import rules, documentation
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) pytest -q tests/test_docs.py tests/test_packaging.py tests/test_architecture.py

docs: setup  ## Write the tables of docs/configuration.md again, from the models
	$(RUN) python -m desireline.sidecar.config_reference docs/configuration.md

opensearch: setup  ## A real OpenSearch in the foreground; prints its address
	$(RUN) python -m desireline.sidecar.demo.opensearch_node

bench: setup  ## One benchmark: NAME=encode, QUICK=1 for a short one, JSON=file for numbers
	@test -f "tests/benchmarks/$(NAME).py" || { echo "name one: make bench NAME=$$(ls tests/benchmarks | sed -n 's/\.py$$//p' | paste -sd'|' -)"; exit 2; }
	$(RUN) python tests/benchmarks/$(NAME).py $(BENCH_OPTIONS)

results: setup  ## Every benchmark, one after the other, into JSON=file or the screen (QUICK=1: the short ones)
	$(RUN) python tests/benchmarks/all.py $(BENCH_OPTIONS)

evidence: setup  ## What proves the promises, counted: docs/evidence.md (QUICK=1: 15 minutes)
	$(RUN) python tests/evidence.py $(BENCH_OPTIONS)

build: setup  ## Wheel and sdist, installed into a fresh environment and tried from there
	./.ci/build $(UV)
