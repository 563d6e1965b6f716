# `make chat` to talk, `make test` to run the tests, `make check` before a commit. The first run sets up .venv.

VENV := .venv
BIN := $(VENV)/bin
CODE := bots core config tests training benchmarks
# Where PyTorch's CPU builds are; any mirror of it does.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: chat test test-long lint check format reference train-mini eval-mini bench bench-alternatives clean

chat: $(VENV)/.run-ready
	@$(BIN)/parley chat $(ARGS)

test: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest $(ARGS)

test-long: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest -m long --timeout 3600 $(ARGS)

lint: $(VENV)/.dev-ready
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

format: $(VENV)/.dev-ready
	$(BIN)/ruff check --fix $(wildcard $(CODE))
	$(BIN)/ruff format $(wildcard $(CODE))

# config/default.toml and the README's option table, generated from config/settings.py.
reference: $(VENV)/.dev-ready
	$(BIN)/python -m config.reference

# The model that comes with Parley: from nothing to core/models/mini, and how good it is.
train-mini: $(VENV)/.run-ready
	@$(BIN)/python -m training.train $(ARGS)

eval-mini: $(VENV)/.run-ready
	@$(BIN)/python -m training.evaluate $(ARGS)

# Parley beside its alternatives. `make bench ARGS=speed` measures one part, `make bench ARGS=--write` keeps the result.
bench: $(VENV)/.run-ready
	@$(BIN)/python -m benchmarks $(ARGS)

# llama.cpp and CTranslate2 in an environment of their own; without it their part of the figures stays empty.
bench-alternatives:
	@TORCH_INDEX="$(TORCH_INDEX)" benchmarks/alternatives/setup.sh .cache/benchmarks/alternatives

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .cache/benchmarks

# Set-up reads nothing and speaks on stderr, so that `make chat < questions > answers` holds only the chat.
$(VENV)/.run-ready: setup.sh pyproject.toml constraints.txt
	@TORCH_INDEX="$(TORCH_INDEX)" ./setup.sh $(VENV) . </dev/null >&2
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready
	@TORCH_INDEX="$(TORCH_INDEX)" ./setup.sh $(VENV) '.[dev]' </dev/null >&2
	@touch $@
