# Every target makes its own virtual environment; nothing else has to be installed by hand.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= .demo

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
# torch by its exact pin and before the rest: a CPU wheel at hand is then taken, and kept
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)

.PHONY: bench demo test test-slow lint format clean

demo: $(VENV)/.installed
	$(BIN)/python benchmarks/demo.py --out $(DEMO)

# QUICK=--quick sees that all works; PARTS="training stream" runs some, without README
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.speed $(PARTS) $(QUICK) --json benchmarks/speed.json \
		$(if $(PARTS)$(QUICK),,--readme README.md)

# a file's tests share what they train, so they stay in one process
WORKERS := --numprocesses auto --maxprocesses 4 --dist loadfile

# COVERAGE=95 fails where fewer percent of lines and branches are reached; what runs in other
# processes is not seen
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(WORKERS) $(if $(COVERAGE),--cov --cov-report= \
		--cov-fail-under=$(COVERAGE))

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(WORKERS) --slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("textgen needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Installing into $(VENV): some minutes the first time ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	@touch $@

NATIVE := hatch_build.py $(wildcard textgen/native/*.[ch])

$(VENV)/.installed: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test
