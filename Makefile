# make up      a cluster, on the data center that is configured, or the embedded one: four engines, or as many
#              as it has; make up engines=8, make up args='-e machine_package=NAME'
# make down    nothing left of it, and the embedded data center stopped
# make setup PYTHON=python3.13    what the project needs here, with this Python
# make test-setup    that, and what tests and linters need
# make verify  what the data center that is configured answers, beside what the embedded one does; asks before it
#              makes one small machine for some minutes (docs/real-data-center.md)
# make test    everything that can be tested, on the embedded data center
# make lint unit integration molecule    parts of it
# make portable    what needs no zones, and so no Linux: unit tests of the product, playbooks on records of machines
# make science the large packages (scipy, pandas, jupyterlab ...) installed and used: 150 MB, minutes
# make curve   launch times at 1, 4, 16 and 64 engines, both bootstraps (an hour); figures in docs/launch-curve.md
# make bench   launch times beside those of a local ipcluster

cluster ?= ipython

# Tests have a data center of their own, but the package store is worth sharing.
test_dc := LOCALDC_DIR=$(CURDIR)/.localdc/test LOCALDC_PKGSRC=$${LOCALDC_PKGSRC:-$(CURDIR)/.localdc/pkgsrc}

export PATH := $(CURDIR)/.venv/bin:$(PATH)
.PHONY: help setup test-setup up down verify test lint unit integration molecule portable science bench curve

help:
	@sed -n 's/^# make/make/p; s/^#  /  /p' Makefile

setup:
	@tools/prepare

test-setup:
	@tools/prepare tests

up: setup
	@tools/data-center confirm
	@ansible-playbook site.yml $(if $(engines),-e engines=$(engines)) -e cluster=$(cluster) $(args)

down: setup
	@tools/data-center confirm
	@ansible-playbook teardown.yml -e cluster=$(cluster) $(args)
	@python -m localdc stop

# A machine that costs money is not left behind by Ctrl-C; 99 is Ansible's status then.
verify: setup
	@trap : INT; ansible-playbook playbooks/verify.yml $(args); status=$$?; \
	if [ $$status -eq 99 ]; then ansible-playbook playbooks/verify.yml -e sdc_verify_sweep=only; fi; exit $$status

test: test-setup lint unit integration molecule

lint: test-setup
	ruff check .
	ruff format --check .
	mypy
	cd localdc && mypy
	ansible-lint --offline -q

unit: test-setup
	pytest -q -n auto --dist loadfile tests/unit
	cd localdc && pytest -q -n auto --dist loadfile tests/unit

# Two files at a time: most of a test is waiting, and each process has data centers of its own.
integration: test-setup
	$(test_dc) pytest -q -n 2 --dist loadfile tests/integration
	cd localdc && $(test_dc) pytest -q -n 2 --dist loadfile tests/integration

portable: test-setup
	pytest -q -n auto --dist loadfile tests/unit tests/integration/records

science: test-setup
	$(test_dc) SCIENCE=yes pytest -q tests/integration/packages/test_science.py

molecule: test-setup
	molecule test

bench: test-setup
	$(test_dc) python benchmarks/launch.py

curve: test-setup
	$(test_dc) python benchmarks/curve.py --json docs/launch-curve.json
