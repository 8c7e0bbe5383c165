# Every target sets up what it needs. `make test` and `make demo` install the built wheel, as a
# user would have it; `make check` installs the checkout itself, for those who change it.
PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_OFFLINE ?= 1
export RAY_USAGE_STATS_ENABLED := 0
export OMP_NUM_THREADS := 1

SOURCES := pyproject.toml setup.py $(shell find configs modalities voter fusion pipelines -type f \
	-not -name '*.so' -not -path '*/__pycache__/*')

.PHONY: help demo test nightly check lint types links bench bench-archive clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/'

REQUIREMENTS := import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	extras = project["optional-dependencies"]; print(*project["dependencies"], *extras["offline"], *extras["train"], *extras["dev"], sep="\n")

.venv/dependencies: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -c '$(REQUIREMENTS)' > .venv/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement .venv/requirements.txt
	touch $@

.venv/wheel: .venv/dependencies $(SOURCES)
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall .
	rm -f .venv/editable
	touch $@

.venv/editable: .venv/dependencies setup.py $(wildcard modalities/rwkv/kernels/*)
	rm -f modalities/rwkv/_kernels_*  # one that no longer compiles is left out without a word, and the old one would stay
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	rm -f .venv/wheel
	touch $@

demo: .venv/wheel  ## rate samples/ and say where the report lies
	@rm -rf demo-report
	@status=0; $(BIN)/capitoline rate samples --out demo-report || status=$$?; \
	echo "exit code $$status: 0 all rated, 3 some item is unrated or failed (samples/ has a broken one on purpose)"; \
	test $$status -eq 3

test: .venv/wheel  ## every test, against the installed wheel
	CAPITOLINE_TEST_WHEEL=1 $(BIN)/pytest --durations=10

nightly: .venv/wheel  ## 200 random kill schedules and 5,000 hostile files, others every night (hours)
	CAPITOLINE_TEST_WHEEL=1 CAPITOLINE_KILL_SCHEDULES=200 CAPITOLINE_KILL_SEED=$$(($$(date +%s) / 86400 * 200)) \
	CAPITOLINE_HOSTILE_FILES=5000 CAPITOLINE_HOSTILE_SEED=$$(($$(date +%s) / 86400)) \
	$(BIN)/pytest -s tests/faults tests/hostile

check: .venv/editable lint types  ## lint, types, fast tests
	$(BIN)/pytest -q -m 'not slow'

lint: .venv/editable
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/editable links
	$(BIN)/mypy
	$(BIN)/pyright

# mypy, pyright and editors resolve `capitoline.*` through these links (pyproject.toml, package-dir).
links:
	@mkdir -p typings/capitoline
	@for folder in configs modalities voter fusion pipelines; do ln -sfn ../../$$folder typings/capitoline/$$folder; done

bench: .venv/wheel  ## engine, documents, replay, length, beside their peers (an hour): benchmarks/results/
	-$(BIN)/python -m pip install --quiet '.[bench]'
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/documents.py
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/length.py $${CAPITOLINE_DATA:-../shared/data}

# Ray runs its workers at nice 15: on a machine that does anything else both sides would be measured by that.
bench-archive: export RAY_worker_niceness := 0
bench-archive: .venv/wheel  ## whole jobs: posters, texts, a long film, memory, cores, nodes, kills (an hour): benchmarks/results/
	$(BIN)/python benchmarks/archive.py
	$(BIN)/python benchmarks/killed.py

clean:  ## remove what the other targets made
	rm -rf .venv build dist *.egg-info demo-report typings
	find modalities -name '*.so' -delete
