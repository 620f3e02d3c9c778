# All verbs of the project; `make` alone lists them. Variables: STACK=dev (which stack), YES=1 (do not ask).
# Each verb first creates or updates .venv (toolchain/bootstrap.sh), with the packages for tests where it needs them;
# `python -m operations` and `python -m development` do the work.

STACK ?= dev
YES ?=
LEFTOVERS ?=
PYTEST_ARGS ?=

# Values reach the verbs through the environment, as they were given: in a recipe the shell would run what is in them,
# and Make itself would expand a `$(shell …)`. PYTEST_ARGS alone is for the shell: it is several arguments.
override STACK := $(value STACK)
override YES := $(value YES)
override LEFTOVERS := $(value LEFTOVERS)
export STACK YES LEFTOVERS

override PYTHON := .venv/bin/python
override OPERATIONS := $(PYTHON) -m operations

# Unit and preview tests share nothing; engine tests share one platform. PYTEST_ARGS=-n0 runs them one after another.
override IN_PARALLEL := -n logical --dist worksteal

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
MAKEFLAGS += --no-print-directory

##@ Stack

.PHONY: up
up: venv ## Deploy the stack, with everything that it needs, and print its addresses
	@$(OPERATIONS) up

.PHONY: down
down: venv ## Destroy the stack with its data; asks first (LEFTOVERS=1: also what is in no state)
	@$(OPERATIONS) down

.PHONY: status
status: venv ## Show services, health, memory and ports
	@$(OPERATIONS) status

.PHONY: doctor
doctor: venv ## Check the machine and the stack, and say how to fix what is wrong
	@$(OPERATIONS) doctor

.PHONY: traces
traces: venv ## Show recorded traces as trees, and follow new ones
	@$(OPERATIONS) traces

.PHONY: collector
collector: venv ## Run a collector on this machine, without Docker (docs/telemetry.md)
	@$(OPERATIONS) collector run

.PHONY: env
env: venv ## Print the variables for using `pulumi` in a shell: eval "$(make -s env)"
	@$(OPERATIONS) env

##@ Machine

.PHONY: toolchain
toolchain: venv ## Install the Docker engine, Pulumi with its plugins, and the base image
	@$(OPERATIONS) toolchain

.PHONY: clean
clean: venv ## Remove tools, .venv, unused images and build cache; never data, never state
	@$(OPERATIONS) clean
	@toolchain/bootstrap.sh --remove

##@ Development

.PHONY: test
test: venv-dev toolchain lint types test-unit test-go test-preview test-engine ## Run lint, types and all tests, one after another

.PHONY: lint
lint: venv-dev ## Check style and formatting (ruff)
	@echo "==> lint"
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

.PHONY: types
types: venv-dev ## Check types (mypy, strict)
	@echo "==> types"
	@$(PYTHON) -m mypy .

.PHONY: test-unit
test-unit: venv-dev ## Test code, and the program with mocks; needs no engine
	@echo "==> unit tests"
	@$(PYTHON) -m pytest -m unit $(IN_PARALLEL) $(PYTEST_ARGS) tests/unit

.PHONY: test-go
test-go: venv-dev ## Test the collector's Go (gofmt, vet, unit tests)
	@echo "==> Go tests"
	@$(PYTHON) -m development test-go

.PHONY: test-preview
test-preview: venv-dev toolchain ## Test with the real Pulumi CLI on temporary state
	@echo "==> preview tests"
	@$(PYTHON) -m pytest -m preview $(IN_PARALLEL) $(PYTEST_ARGS) tests/preview

.PHONY: test-engine
test-engine: venv-dev toolchain ## Test real deployments on the Docker engine
	@echo "==> engine tests"
	@$(PYTHON) -m pytest -m engine $(PYTEST_ARGS) tests/engine

.PHONY: benchmark
benchmark: venv-dev toolchain ## Compare with Docker Compose and an empty program, side by side
	@$(PYTHON) -m benchmarks

.PHONY: docs
docs: venv ## Update the generated pages of docs/
	@$(PYTHON) -m development docs

.PHONY: lock
lock: venv ## Update requirements*.lock after changing the dependencies in pyproject.toml
	@$(PYTHON) -m development lock

.PHONY: refresh-packages
refresh-packages: venv ## Use today's Debian packages in images from the next `make up` on
	@$(PYTHON) -m development refresh-packages

.PHONY: help
help: ## List the verbs
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile
	@printf '\nSTACK=%s; for another one: make up STACK=staging. YES=1 answers all questions with yes.\n' "$$STACK"

.PHONY: venv
venv:
	@toolchain/bootstrap.sh

.PHONY: venv-dev
venv-dev:
	@toolchain/bootstrap.sh requirements-dev.lock
