# On a fresh machine, `make demo` and `make test` need only python3 (3.11 or newer, with venv) and make.
# The rest is installed into .venv at the first call, and again when pyproject.toml changes.

PYTHON ?= python3
JOBS ?= 2
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint format types bench fuzz mutants exhaustive clean distclean
.NOTPARALLEL:

help:
	@echo "make demo       a matrix product and a photograph's blur under several schedules, timed and compared"
	@echo "make test       all tests; ARGS='-k name' for some of them"
	@echo "make fuzz       verdicts against the oracle (100,000 cases), of recurrences, mutated texts (100,000), random"
	@echo "                kernels, also of integers in fewer bits; an interrupted run goes on;"
	@echo "                ARGS='kernels --cases 20000 --first 7000' for one attack"
	@echo "make exhaustive  the errors of the elementary functions over all float32 numbers, into docs/math.md"
	@echo "make mutants    faults put into the code by hand, each of which the tests must notice; ARGS='mask' for some"
	@echo "make bench      against NumPy, Numba and others"
	@echo "make lint       ruff's rules and format; 'make format' repairs what it can"
	@echo "make types      mypy --strict, and the stubs of typings/ against the installed llvmlite"
	@echo "make clean      remove caches and build products; 'make distclean' removes $(VENV) as well"

demo: $(VENV)/.installed-demo
	$(BIN)/python tutorials/demo.py $(ARGS)

test: $(VENV)/.installed-test
	$(BIN)/pytest -n $(JOBS) --dist=loadfile $(ARGS)

fuzz: $(VENV)/.installed-test
	$(BIN)/python -m tests.campaign.run --jobs $(JOBS) $(ARGS)

exhaustive: $(VENV)/.installed-test
	$(BIN)/python benchmarks/exhaustive.py $(ARGS)

mutants: $(VENV)/.installed-test
	$(BIN)/python -m tests.mutants.run --jobs $(JOBS) $(ARGS)

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/run.py $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/mypy
	MYPYPATH=typings $(BIN)/stubtest --ignore-missing-stub llvmlite

$(VENV)/.installed-%: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "polysched needs Python 3.11 or newer, and '$(PYTHON)' is not: say 'make PYTHON=python3.12 ...'" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment: on Debian and Ubuntu, 'apt install python3-venv'" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

clean:
	rm -rf build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .coverage htmlcov
	find sched tests tutorials benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean
	rm -rf $(VENV)
