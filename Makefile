# make train    set up .venv and train the default agent; ENV=ToolArithMemory-v0 for that world
# make test     set up .venv, lint and run the tests
# make oracle   the table of exact reference scores
# make reproduce  run the published program as published
# make ablate   take the published program apart: 31 variants, 10 seeds (about an hour on 2 cores)
# make compare  learners on ToolArithMemory-v0, guided and not (about half an hour on 2 cores)
# make interventions  what the agents that compare trained do: memory, digits, plans
# make bench    the speed of environments and learners, into docs/performance.md (about 15 minutes)
# make benchmark  the speed and memory of the published baseline
# make seeds    train the default agent with five seeds and gather docs/results/default_seeds.csv

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: train test lint oracle seeds reproduce ablate compare interventions bench benchmark

train: $(READY)
	$(BIN)/python scripts/train.py $(if $(ENV),--env $(ENV)) $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

oracle: $(READY)
	$(BIN)/python -m toolenv_gym.oracle

reproduce: $(READY)
	$(BIN)/python scripts/reproduce.py $(ARGS)

ablate: $(READY)
	$(BIN)/python scripts/ablate.py $(ARGS)

compare: $(READY)
	$(BIN)/python scripts/compare.py $(ARGS)

interventions: $(READY)
	$(BIN)/python scripts/interventions.py runs/comparison/guided_? $(ARGS)

bench: $(READY)
	$(BIN)/python benchmarks/environments.py
	$(BIN)/python benchmarks/learners.py
	$(BIN)/python benchmarks/page.py

benchmark: $(READY)
	$(BIN)/python benchmarks/published_a2c.py $(ARGS)

seeds: $(READY)
	for seed in 0 1 2 3 4; do \
		$(BIN)/python scripts/train.py --seed $$seed --out runs/seeds/$$seed || exit 1; \
	done
	mkdir -p docs/results
	awk 'FNR > 1 || NR == 1' runs/seeds/*/scores.csv > docs/results/default_seeds.csv

# torch first and pinned: left to a dependency, pip would choose a build of its own.
$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	touch $(READY)
