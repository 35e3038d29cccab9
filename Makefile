# `make help` lists the targets. Each makes the environment first, if it is missing or its lock has changed.
VENV ?= .venv
PYTHON ?=
ARGS ?=
PYTEST_ARGS ?=
# Tests at a time; a file's tests stay together, because they share what is traced.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
BIN = $(VENV)/bin

.PHONY: help venv demo check types test fuzz soak lint bench clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo    train on the built-in digits and show where the pictures are (ARGS="--total_kimg=20" passes flags)'
	@echo 'make check   style, types, and the tests that are fast and need no golden data: two minutes'
	@echo 'make test    run all tests (PYTEST_ARGS="-k name" passes arguments to pytest)'
	@echo 'make fuzz    read 100,000 damaged pickles of each kind (ARGS="--count=1000 --seed=1" passes arguments)'
	@echo 'make soak    kill a training run 50 times and compare what it ends with (ARGS="--kills=5" passes arguments)'
	@echo 'make lint    check style and format with ruff'
	@echo 'make types   check types with mypy'
	@echo 'make bench   measure speed and memory (ARGS passes arguments)'
	@echo 'make clean   remove environments and caches (results/ stays)'
	@echo
	@echo 'PYTHON=python3.13 chooses the interpreter (3.9 to 3.13; 3.11 is preferred), VENV=dir the environment (.venv), WORKERS=4 how many tests run at a time.'

# The script compares the lock with the one installed, so it runs every time and is silent when nothing is to do.
venv:
	@sh scripts/make_venv.sh '$(VENV)' '$(PYTHON)'

demo: venv
	@echo 'Training the demo: results go to results/ ...'
	@$(BIN)/python run_training.py $(ARGS)

check: lint types
	@echo 'Running the fast tests ...'
	@$(PYTEST) -q --fast -r fE $(PYTEST_ARGS)

types: venv
	@echo 'Checking types ...'
	@$(BIN)/python -m mypy
	@$(BIN)/python scripts/annotated.py networks=90

test: venv
	@echo 'Running the tests ...'
	@$(PYTEST) $(PYTEST_ARGS)

fuzz: venv
	@echo 'Reading damaged pickles ...'
	@$(BIN)/python -m tests.dnnlib.pickles.fuzz_tf_networks $(ARGS)
	@$(BIN)/python -m tests.dnnlib.pickles.fuzz_torch_networks $(ARGS)
	@$(BIN)/python -m tests.dnnlib.pickles.fuzz_port_files $(ARGS)

soak: venv
	@echo 'Killing and continuing training runs ...'
	@$(BIN)/python -m benchmarks.soak $(ARGS)

lint: venv
	@echo 'Checking style with ruff ...'
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .

bench: venv
	@echo 'Measuring speed and memory ...'
	@$(BIN)/python -m benchmarks $(ARGS)

clean:
	@echo 'Removing .venv* and caches ...'
	@rm -rf .venv .venv-* .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
