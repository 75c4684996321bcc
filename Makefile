# The two commands of the README are `make serve` and `make test`.
PYTHON ?= python3
APP ?= examples.first:app
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: serve test servers lint soak lock bench clean

# The certificates of the system, as pip does: a company's own authority is among them.
export UV_SYSTEM_CERTS := true

$(STAMP): requirements-uv.lock requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

serve: $(STAMP) ## Serve the example service on http://127.0.0.1:5000
	@echo "Try, in another terminal:"
	@echo "  curl -i http://127.0.0.1:5000/                              # 401: no token"
	@echo "  curl -H 'Authorization: token' http://127.0.0.1:5000/       # Stored value 0."
	@echo "  curl -H 'Authorization: token' --json '{\"value\":20}' http://127.0.0.1:5000/"
	$(BIN)/unimicro serve $(APP)

test: $(STAMP) servers lint ## Everything CI runs
	$(BIN)/pytest -q -m "not soak"

servers: $(STAMP) ## Servers that tests start, where they are missing
	tests/servers/install.sh

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(STAMP) ## Long runs
	$(BIN)/pytest -q -m soak --timeout 1800

bench: $(STAMP) ## Side by side with peers; needs wrk for the HTTP doors
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/policies.py
	$(BIN)/python benchmarks/lambda_event.py
	$(BIN)/python benchmarks/http_door.py
	$(BIN)/python benchmarks/rpc.py

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-annotate --no-header

lock: $(STAMP) ## Renew the locks; they hold hashes and no addresses
	$(COMPILE) pyproject.toml build.in --all-extras --group dev --group bench -o requirements-dev.lock
	echo uv | $(COMPILE) -c requirements-dev.lock - -o requirements-uv.lock

clean:
	rm -rf $(VENV)
