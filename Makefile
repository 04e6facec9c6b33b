# Everything a newcomer needs. Each target does its own set-up and does nothing twice.
PYTHON ?= python3
export RASA_TELEMETRY_ENABLED = false

.PHONY: help setup demo test chaos bench lint audit lock screenshots

help:             ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/ —/'

setup:            ## both environments from the locked sets
	@$(PYTHON) requirements/install.py

demo: setup       ## the sample company, running: website with chat, bot, console
	@.venv/bin/kotae up

lint:             ## style, types, who imports whom
	@$(PYTHON) requirements/install.py --dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: lint        ## every check there is
	.venv/bin/kotae prepare
	.venv/bin/kotae bot check
	.venv/bin/python -m pytest

chaos: setup      ## processes killed and stopped under traffic, two of each behind HAProxy: is anything lost?
	@$(PYTHON) requirements/install.py --dev
	.venv/bin/kotae prepare
	.venv/bin/python -m tests.chaos

bench: setup      ## speed and quality, each beside something meaningful
	@$(PYTHON) requirements/install.py --dev
	.venv/bin/kotae prepare
	.venv/bin/python -m benchmarks

audit:            ## the locked sets beside the public advisories; fails where those cannot be had
	@$(PYTHON) -m venv .kotae/audit
	@.kotae/audit/bin/python -m pip install --quiet --upgrade pip-audit
	@for set in app dev bot; do \
	  echo "$$set:"; .kotae/audit/bin/pip-audit --strict --disable-pip --no-deps -r requirements/$$set.txt || bad=1; \
	done; exit $${bad:-0}

lock:             ## refresh the locked sets from requirements/*.in
	$(PYTHON) requirements/lock.py

screenshots:      ## remake the pictures of the README
	@$(PYTHON) requirements/install.py --dev
	.venv/bin/python -m tests.screenshots
