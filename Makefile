PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
WORLDS := ToolArith-v0 ToolArithMemory-v0
INTEROP := $(notdir $(basename $(wildcard tests/interop/requirements/*.txt)))
# Libraries that install beside the tested versions and are light enough for `make test`.
BESIDE := $(patsubst %,tests/interop/requirements/%.txt,minari skrl)

.DEFAULT_GOAL := help
.PHONY: help train test lint oracle ceilings seeds curves reproduce ablate compare interventions \
	learners learns mutants benchmark anchors hyperparams cluster-test policy-defaults bench \
	bench-published interop

help: ## this list; every other target sets up .venv first
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

train: $(READY) ## train the default agent; ENV=ToolArithMemory-v0 for that world, ARGS="--help"
	$(BIN)/python scripts/train.py $(if $(ENV),--env $(ENV)) $(ARGS)

test: lint ## lint and run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY) ## check style, layers and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

oracle: $(READY) ## print the exact reference scores
	$(BIN)/python -m toolenv_gym.oracle

ceilings: $(READY) ## compute what agents of each kind can reach (a minute and a half)
	$(BIN)/python scripts/ceilings.py --out docs/results/ceilings.csv $(ARGS)

reproduce: $(READY) ## run the published program as published
	$(BIN)/python scripts/reproduce.py $(ARGS)

ablate: $(READY) ## take the published program apart: 31 variants, 10 seeds (an hour on 2 cores)
	$(BIN)/python scripts/ablate.py --out docs/results/ablation.csv $(ARGS)

compare: $(READY) ## train learners on two worlds, guided and not (three hours on 2 cores)
	$(BIN)/python scripts/compare.py --out docs/results/comparison.csv $(ARGS)
	$(BIN)/python scripts/compare.py --env ToolArithExpression-v0 --runs runs/comparison_expression \
		--out docs/results/comparison_expression.csv $(ARGS)

# Of the agents that are always shown the whole, those that reached 99.9 %.
interventions: $(READY) ## ask what the agents that `make compare` trained go by
	$(BIN)/python scripts/interventions.py runs/comparison/guided_? \
		--out docs/results/interventions $(ARGS)
	$(BIN)/python scripts/expression_interventions.py runs/comparison_expression/ahead_guided_? \
		--out docs/results/expression_interventions
	$(BIN)/python scripts/expression_interventions.py runs/comparison_expression/always_guided_[134] \
		--out docs/results/expression_interventions_always
	$(BIN)/python scripts/expression_interventions.py runs/comparison_expression/once_guided_0 \
		--out docs/results/expression_interventions_once

learners: $(READY) ## train every learner with its defaults, in both worlds (an hour on 2 cores)
	$(BIN)/python scripts/learners.py --out docs/results/learners.csv $(ARGS)

policy-defaults: $(READY) ## compare the general policy's defaults on three memory tasks (half an hour)
	$(BIN)/python scripts/policy_defaults.py --out docs/results/policy_defaults.csv $(ARGS)

learns: $(READY) ## see in how many steps right learners learn the simplest task (ten minutes)
	$(BIN)/python scripts/learns.py --out docs/results/learns.csv $(ARGS)

mutants: $(READY) ## run every check of learners on every broken learner (five minutes)
	$(BIN)/python tests/learner_matrix.py

benchmark: $(READY) ## run what is missing of the benchmark, and draw it (under three hours on 2 cores)
	$(BIN)/python scripts/tune.py --out docs/results/benchmark_studies.jsonl
	$(BIN)/python scripts/benchmark.py --out docs/results $(ARGS)
	$(BIN)/python scripts/benchmark_page.py

cluster-test: .interop/cluster/ready ## run the benchmark's tests on a Ray cluster of two nodes
	.interop/cluster/bin/python -m pytest tests/agents/studies/test_benchmark_cluster.py

anchors: $(READY) ## compute the exact scores that the benchmark measures by (some minutes)
	$(BIN)/python scripts/anchors.py --out docs/results/benchmark_anchors.csv

hyperparams: $(READY) ## write the tuned settings as RL Baselines3 Zoo reads them
	$(BIN)/python scripts/hyperparams.py --out hyperparams

seeds: $(READY) ## train the default agents with five seeds (a quarter of an hour)
	$(BIN)/python scripts/seeds.py --out docs/results/default_seeds.csv $(ARGS)
	$(BIN)/python scripts/seeds.py --env ToolArithExpression-v0 \
		--out docs/results/expression_seeds.csv $(ARGS)

curves: $(WORLDS:%=runs/curves/%/scores.csv) ## train one agent a world; draw their learning curves
	$(BIN)/python scripts/curves.py $(^D) --out docs/results/learning_curves.csv
	$(BIN)/python scripts/explain.py runs/curves/ToolArithMemory-v0 --stage 2 --episodes 1 --seed 2 \
		--video docs/agent.gif

bench: $(READY) ## the speed of environments and learners, into docs/performance.md (15 minutes)
	$(BIN)/python benchmarks/environments.py --out docs/results/bench_environments.json
	$(BIN)/python benchmarks/learners.py --out docs/results/bench_learners.json
	$(BIN)/python benchmarks/gru.py --out docs/results/bench_gru.json
	$(BIN)/python benchmarks/page.py

interop: $(READY) $(INTEROP:%=interop-%) ## try each library of docs/libraries.md in an environment of its own (15 GB)
	$(BIN)/python tests/interop/libraries_page.py

bench-published: $(READY) ## the speed and memory of the published baseline
	$(BIN)/python benchmarks/published_a2c.py \
		--out docs/results/bench_published_a2c.json $(ARGS)

# A run that is finished is not repeated, and one that was killed goes on.
runs/curves/%/scores.csv: | $(READY)
	$(BIN)/python scripts/train.py --env $* --out $(@D) $(if $(wildcard $(@D)/settings.json),--resume)

.PRECIOUS: .interop/%/ready
interop-%: .interop/%/ready
	.interop/$*/bin/python -m pytest tests/interop/test_$*.py

# torch first and pinned: left to a dependency, pip would choose a build of its own.
$(READY): setup.cfg pyproject.toml constraints.txt $(BESIDE)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]' $(BESIDE:%=-r %)
	touch $(READY)

.interop/cluster/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .interop/cluster
	.interop/cluster/bin/python -m pip install --quiet -c constraints.txt torch
	.interop/cluster/bin/python -m pip install --quiet -c constraints.txt -e '.[cluster]' pytest
	touch $@

.interop/%/ready: tests/interop/requirements/%.txt setup.cfg constraints.txt
	$(PYTHON) -m venv .interop/$*
	.interop/$*/bin/python -m pip install --quiet -c constraints.txt torch
	.interop/$*/bin/python -m pip install --quiet -r $< -e '.[agents]' pytest
	touch $@
