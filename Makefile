# Two commands on a fresh machine with python3 and make: `make demo` and `make test`. The rest is for every day.
.PHONY: setup demo up test test-full check clean
.DEFAULT_GOAL := help
bin := .venv/bin
export PATH := $(CURDIR)/$(bin):$(PATH)

help:
	@echo "make demo       set up, then the main job: a lesson in a student's server, on real images"
	@echo "make up         set up, then serve on loopback until Ctrl+C"
	@echo "make test       set up, then the checks and all quick tests"
	@echo "make test-full  the same, and the tests that take minutes"
	@echo "make check      layers, lint and types alone"

setup:
	@tools/setup.sh

demo: setup
	@axonlab demo

up: setup
	@axonlab up

check: setup
	ruff check -q
	ruff format --check -q
	basedpyright --level error
	lint-imports --no-logo

test: check
	pytest -m "not slow" tests/unit tests/backends tests/acceptance tests/browser

test-full: check
	pytest tests/unit tests/backends tests/acceptance tests/browser

clean:
	rm -rf .venv .axonlab .pytest_cache .ruff_cache .import_linter_cache .hypothesis
