# Every target sets up what it needs; `.venv` is made once and refreshed when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_OFFLINE ?= 1
export RAY_USAGE_STATS_ENABLED := 0
export OMP_NUM_THREADS := 1

.PHONY: check test demo bench lint types links clean

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[offline,dev]'
	touch $@

# mypy, pyright and editors resolve `capitoline.*` through these links (see pyproject.toml, package-dir).
links:
	@mkdir -p typings/capitoline
	@for folder in configs modalities voter fusion pipelines; do ln -sfn ../../$$folder typings/capitoline/$$folder; done

check: .venv/installed lint types  ## lint, types, fast tests
	$(BIN)/python -m pytest -q -m 'not slow'

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed links
	$(BIN)/mypy
	$(BIN)/pyright
