# `make chat` starts a chat, `make test` runs the tests, `make check` checks a commit. The first run sets up .venv.

VENV := .venv
BIN := $(VENV)/bin
CODE := bots core config tests training benchmarks
# Index of PyTorch's CPU builds, or a mirror of it.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# Processes that run the tests. Most tests wait more than they compute, so that these may be more than there are cores.
JOBS ?= 3

.PHONY: chat test test-long lint check format reference train-mini eval-mini eval-real eval-rated bench bench-alternatives clean

chat: $(VENV)/.run-ready
	@$(BIN)/parley chat $(ARGS)

test: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

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

# Generate config/default.toml and the README's option table from config/settings.py.
reference: $(VENV)/.dev-ready
	$(BIN)/python -m config.reference

# Train the embedded model into core/models/mini. `make eval-real DIR=PATH` evaluates a model folder or a GGUF file,
# `make eval-mini` the embedded model.
train-mini: $(VENV)/.run-ready
	@$(BIN)/python -m training.train $(ARGS)

eval-mini: DIR := mini
eval-mini: eval-real

eval-real: $(VENV)/.run-ready
	@$(BIN)/python -m training.evaluate "$(DIR)" $(ARGS)

# Compare the moods of DIR with people's ratings in the folder RATED: training/evaluation/README.md.
eval-rated: $(VENV)/.rated-ready
	@$(BIN)/python -m training.rated "$(DIR)" "$(RATED)" $(ARGS)

# Compare Parley with its alternatives. `make bench ARGS=speed` measures one part, `make bench ARGS=--write` saves it,
# `make bench MODEL=FOLDER` measures real weights too.
bench: $(VENV)/.run-ready
	@$(BIN)/python -m benchmarks $(if $(MODEL),--model "$(MODEL)") $(ARGS)

# Install llama.cpp, CTranslate2, OpenVINO GenAI and ONNX Runtime GenAI in their own environment; without it their figures
# stay empty.
bench-alternatives:
	@TORCH_INDEX="$(TORCH_INDEX)" benchmarks/alternatives/setup.sh .cache/benchmarks/alternatives

clean:
	rm -rf $(VENV) core/inference/native/prebuilt *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .cache/benchmarks

# Set-up reads no input and writes to stderr, so that the output of `make chat < questions > answers` is the chat only.
$(VENV)/.run-ready: setup.sh pyproject.toml constraints.txt
	@TORCH_INDEX="$(TORCH_INDEX)" ./setup.sh $(VENV) . </dev/null >&2
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready
	@TORCH_INDEX="$(TORCH_INDEX)" ./setup.sh $(VENV) '.[dev]' </dev/null >&2
	@touch $@

$(VENV)/.rated-ready: $(VENV)/.run-ready
	@TORCH_INDEX="$(TORCH_INDEX)" ./setup.sh $(VENV) '.[rated]' </dev/null >&2
	@touch $@
