# Two commands do all on a machine with Python 3.11+, git and make:
#   make demo    installs the core, runs the demo's studies, says where the reports lie
#   make test    installs what tests need and runs everything
# Two more, each with an extra of its own:
#   make demo-federate    three hospitals, one audit, no row leaves its site
#   make pretrain-demo    trains the demo's encoder from scratch (needs torch)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCE := pyproject.toml constraints.txt

.PHONY: demo demo-federate pretrain-demo test check bench clean

$(VENV)/core: $(SOURCE)
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed, this is ' + sys.version)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/federate $(VENV)/train: $(VENV)/core $(SOURCE)
	$(PIP) -e '.[$(@F)]'
	touch $@

$(VENV)/all: $(VENV)/core $(SOURCE)
	$(PIP) -e '.[test,check,train,serve,federate,plot,stream,hub,cxr,volumes,openvino]'
	touch $@

demo: $(VENV)/core
	$(BIN)/equipoise demo

demo-federate: $(VENV)/federate
	$(BIN)/equipoise federate demo

pretrain-demo: $(VENV)/train
	$(BIN)/python benchmarks/pretraining.py demo

test: $(VENV)/all
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(VENV)/all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

bench: $(VENV)/all
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) demo demo-federate runs build dist
