# Every verb of the project; `make` alone lists them. Variables: STACK=dev (which stack), YES=1 (do not ask).
# Each verb makes .venv first when it is missing or stale (toolchain/bootstrap.sh), those that develop with the packages
# that tests need; the work is done by `python -m operations`.

STACK ?= dev
YES ?=
PYTEST_ARGS ?=

PYTHON := .venv/bin/python
OPERATIONS = STACK="$(STACK)" YES="$(YES)" $(PYTHON) -m operations

# Tests of the engine share one platform, these share nothing. PYTEST_ARGS=-n0 runs them one after another.
IN_PARALLEL = -n logical --dist worksteal

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
MAKEFLAGS += --no-print-directory

##@ Stack

.PHONY: up
up: venv ## Bring the stack up, with everything that it needs, and say where it is
	@$(OPERATIONS) up

.PHONY: down
down: venv ## Destroy the stack with its data; asks first (LEFTOVERS=1: also what no state knows)
	@$(OPERATIONS) down

.PHONY: status
status: venv ## Show services, health, memory and ports
	@$(OPERATIONS) status

.PHONY: doctor
doctor: venv ## Say what is wrong with the machine or the stack, and how to mend it
	@$(OPERATIONS) doctor

.PHONY: traces
traces: venv ## Show the recorded traces as trees, and follow them
	@$(OPERATIONS) traces

.PHONY: collector
collector: venv ## Run a collector on this machine, without Docker (docs/telemetry.md)
	@$(OPERATIONS) collector run

.PHONY: env
env: venv ## Print what makes plain `pulumi` work in a shell: eval "$(make -s env)"
	@$(OPERATIONS) env

##@ Machine

.PHONY: toolchain
toolchain: venv ## Bring the Docker engine, Pulumi with plugins, and the base image
	@$(OPERATIONS) toolchain

.PHONY: clean
clean: venv ## Remove tools, .venv, unused images and build cache; never data, never state
	@$(OPERATIONS) clean
	@rm -rf .venv

##@ Development

.PHONY: test
test: venv-dev toolchain lint types test-unit test-go test-preview test-engine ## Lint, types, and all tests, one tier after another

.PHONY: lint
lint: venv-dev ## Check style and layout of the code (ruff)
	@echo "==> lint"
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

.PHONY: types
types: venv-dev ## Check types (mypy, strict)
	@echo "==> types"
	@$(PYTHON) -m mypy .

.PHONY: test-unit
test-unit: venv-dev ## Test pure code, and the program under mocks: needs no engine
	@echo "==> unit tests"
	@$(PYTHON) -m pytest -m unit $(IN_PARALLEL) $(PYTEST_ARGS) tests/unit

.PHONY: test-go
test-go: venv-dev ## Test the collector's Go (gofmt, vet, unit tests)
	@echo "==> Go tests"
	@$(PYTHON) -m development test-go

.PHONY: test-preview
test-preview: venv-dev toolchain ## Test with the real Pulumi CLI on throw-away state
	@echo "==> preview tests"
	@$(PYTHON) -m pytest -m preview $(IN_PARALLEL) $(PYTEST_ARGS) tests/preview

.PHONY: test-engine
test-engine: venv-dev toolchain ## Test real deployments on a real Docker engine
	@echo "==> engine tests"
	@$(PYTHON) -m pytest -m engine $(PYTEST_ARGS) tests/engine

.PHONY: benchmark
benchmark: venv-dev toolchain ## Measure against Docker Compose and an empty program, side by side
	@$(PYTHON) -m benchmarks

.PHONY: docs
docs: venv ## Write the generated pages of docs/ anew
	@$(PYTHON) -m development docs

.PHONY: lock
lock: venv ## Write requirements*.lock anew after a change of requirements*.in
	@$(PYTHON) -m development lock

.PHONY: refresh-packages
refresh-packages: venv ## Let the images take today's Debian packages at the next `make up`
	@$(PYTHON) -m development refresh-packages

.PHONY: help
help: ## List the verbs
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nSTACK=%s; another one: make up STACK=staging. YES=1 answers questions with yes.\n' '$(STACK)'

.PHONY: venv
venv:
	@toolchain/bootstrap.sh

.PHONY: venv-dev
venv-dev:
	@toolchain/bootstrap.sh requirements-dev.lock
