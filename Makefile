# make up      a cluster with $(engines) engines, on the data center that is configured, or the embedded one
# make down    nothing left of it, and the embedded data center stopped
# make test    everything that can be tested, on the embedded data center
# make lint unit integration molecule    parts of it
# make science the large packages (scipy, pandas, jupyterlab ...) installed and used: 150 MB, minutes
# make curve   launch times at 1, 4, 16 and 64 engines, both bootstraps (an hour); figures in docs/launch-curve.md
# make bench   launch times beside those of a local ipcluster

engines ?= 4
cluster ?= ipython

# Tests have a data center of their own, but the package store is worth sharing.
test_dc := LOCALDC_DIR=$(CURDIR)/.localdc/test LOCALDC_PKGSRC=$${LOCALDC_PKGSRC:-$(CURDIR)/.localdc/pkgsrc}

export PATH := $(CURDIR)/.venv/bin:$(PATH)
.PHONY: help setup test-setup up down test lint unit integration molecule science bench curve

help:
	@sed -n 's/^# make/make/p' Makefile

setup:
	@tools/prepare

test-setup:
	@tools/prepare tests

up: setup
	@ansible-playbook site.yml -e engines=$(engines) -e cluster=$(cluster)

down: setup
	@ansible-playbook teardown.yml -e cluster=$(cluster)
	@python -m localdc stop

test: test-setup lint unit integration molecule

lint: setup
	ruff check .
	ruff format --check .
	mypy
	ansible-lint --offline -q

unit: setup
	pytest -q -n auto --dist loadfile tests/unit

integration: test-setup
	$(test_dc) pytest -q tests/integration

science: test-setup
	$(test_dc) SCIENCE=yes pytest -q tests/integration/packages/test_science.py

molecule: setup
	molecule test

bench: setup
	$(test_dc) python benchmarks/launch.py

curve: setup
	$(test_dc) python benchmarks/curve.py --json docs/launch-curve.json
