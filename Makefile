# Everything on a fresh Debian 12 machine: `make demo` shows it, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check lint bench clean

demo: $(STAMP)
	@scripts/demo

test: $(STAMP) system
	$(BIN)/python -m pytest tests -n auto --dist loadgroup

check: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests -q -m "not slow and not namespace and not browser and not shared" -x

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) system
	$(BIN)/python -m benchmarks

.PHONY: system
system:
	@scripts/install-debian-packages

$(STAMP): pyproject.toml
	@scripts/make-venv $(PYTHON) $(VENV)
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info
