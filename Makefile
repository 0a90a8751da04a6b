VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3.11
INSTALLED := $(VENV)/installed
INTEGRATIONS := build/integrations
CLUSTERS := build/clusters
PARALLEL := --numprocesses 2 --dist worksteal

.PHONY: run test slow long integrations clusters check bench bench-quick bench-peers bench-search bench-suite bench-judging bench-infeasible bench-alarms bench-boundaries torture screenshots report install clean

run: install  ## train the quickstart sweep on the embedded digits
	$(BIN)/sweep launch sweeps/quickstart.yaml

test: install  ## the fast tests
	$(BIN)/pytest $(PARALLEL)

slow: install  ## the tests that take minutes; real MNIST where SWEEP_DATA_DIR names it
	$(BIN)/pytest $(PARALLEL) -m "slow and not (cluster or long)" --timeout 600 --durations 20

long: install  ## the tests that take longest, before a release
	$(BIN)/pytest $(PARALLEL) -m long --timeout 600

clusters: $(CLUSTERS)/installed  ## the tests on real clusters (Ray, Slurm), from an environment of their own
	SWEEP_CLUSTERS=needed PATH="$(CLUSTERS)/bin:$$PATH" $(CLUSTERS)/bin/python -m pytest -m cluster --timeout 600

$(CLUSTERS)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(CLUSTERS)
	$(CLUSTERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,vae,ray]'
	touch $@

integrations: install $(INTEGRATIONS)/installed  ## the tests with Lightning, Hugging Face and Keras, from an environment of their own
	$(BIN)/pytest -m integrations

# Without this package, which the tests put on the path; and without torchvision, which wants CUDA beside it.
$(INTEGRATIONS)/installed: pyproject.toml constraints.txt integrations.txt
	$(PYTHON) -m venv --clear $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement integrations.txt .
	$(INTEGRATIONS)/bin/python -m pip uninstall --quiet --yes vae-sweeps torchvision
	touch $@

check: install  ## what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sweep schema | diff - sweeps/sweep.schema.json
	$(MAKE) test slow

bench: install  ## what all costs, beside the limits of the machine; renews docs/performance.md (an hour, undisturbed)
	$(BIN)/python benchmarks/all.py

bench-quick: install  ## the same at a glance, in about four minutes; leaves the document alone
	$(BIN)/python benchmarks/all.py --quick

PEERS := build/peers
GUILD := build/guild
bench-peers: install  ## have Ray Tune and Guild run beside ours in `make bench`, each from an environment of its own
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt 'ray[tune]>=2.40,<3' mlflow
	$(PYTHON) -m venv --clear $(GUILD)
	$(GUILD)/bin/python -m pip install --quiet --disable-pip-version-check guildai==0.9.0 'setuptools<71'
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/programs.py

bench-search: install  ## searches beside a cliff: ours, plain Optuna, random; renews docs/search.md (a quarter of an hour)
	$(BIN)/python benchmarks/search.py

bench-alarms: install  ## false alarms and misses on labelled curves; renews docs/alarms.md (seconds)
	$(BIN)/python benchmarks/alarms.py

bench-boundaries: install  ## how often the interval of a boundary covers; renews docs/boundary.md (half an hour)
	$(BIN)/python benchmarks/boundaries.py

bench-judging: install  ## errors and costs of comparing by seed, simulated; renews docs/judging.md (some minutes)
	$(BIN)/python benchmarks/judging.py

bench-infeasible: install  ## searches where memory ends: ours and Optuna's; renews its part of docs/search.md (some minutes)
	$(BIN)/python benchmarks/infeasible.py

SEEDS ?= 40
bench-suite: install  ## searches on twenty problems, beside Optuna's; goes on where it was stopped, renews docs/search.md (hours)
	$(BIN)/python benchmarks/suite.py --seeds $(SEEDS)

KILLS ?= 200
SEED ?= 0
torture: install  ## kill sweeps at random, again and again: each must end as one that was never touched
	$(BIN)/python -u benchmarks/torture.py --kills $(KILLS) --seed $(SEED)

screenshots: install  ## draw docs/images from the quickstart sweep, and build/reports from sweeps of toys, in Chromium
	$(BIN)/python docs/screenshots.py

report: install  ## docs/reproduction.md and docs/findings.md from the files in docs/reproduction
	$(BIN)/python docs/reproduction.py
	$(BIN)/python docs/findings.py

install: $(INSTALLED)  ## everything into .venv, once: ours, the VAE's libraries, and what tests need

$(INSTALLED): pyproject.toml constraints.txt
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,vae]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
