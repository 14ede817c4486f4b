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
	$(BIN)/python scripts/ablate.py --out docs/results/ablation.csv $(ARGS)

compare: $(READY)
	$(BIN)/python scripts/compare.py --out docs/results/comparison.csv $(ARGS)

interventions: $(READY)
	$(BIN)/python scripts/interventions.py runs/comparison/guided_? \
		--out docs/results/interventions $(ARGS)

bench: $(READY)
	$(BIN)/python benchmarks/environments.py --out docs/results/bench_environments.json
	$(BIN)/python benchmarks/learners.py --out docs/results/bench_learners.json
	$(BIN)/python benchmarks/page.py

benchmark: $(READY)
	$(BIN)/python benchmarks/published_a2c.py \
		--out docs/results/bench_published_a2c.json $(ARGS)

seeds: $(READY)
	$(BIN)/python scripts/seeds.py --out docs/results/default_seeds.csv $(ARGS)

# torch first and pinned: left to a dependency, pip would choose a build of its own.
$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	touch $(READY)
