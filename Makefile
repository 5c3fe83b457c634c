# Everything a developer runs. `make check` before a commit, `make test` before a push.
.DEFAULT_GOAL := help
.PHONY: help demo prove check test check-deploy check-deps fuzz chaos bench bench-quick fmt docs lock clean

BIN := .venv/bin

# Python that may not keep its bytecode compiles everything anew at every start, which takes seconds of each.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

.venv/.complete: requirements/dev.txt pyproject.toml .ci/bootstrap
	@sh .ci/bootstrap

demo: .venv/.complete ## Real and simulated market data through Kafka into TimescaleDB, on servers that it starts.
	$(BIN)/sink demo

check: .venv/.complete ## Format, lint, types, import layers and fast tests, in well under a minute.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q -n 2 tests/unit tests/contract

test: .venv/.complete ## Everything, with real servers that it starts by itself.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 30 --ignore tests/deploy

check-deploy: .venv/.complete ## What deploys it, read by the tools that will: Helm chart, alerts, dashboards, image, Compose.
	@sh .ci/bootstrap-deploy
	$(BIN)/pytest -n 2 --dist loadfile tests/deploy --durations 10

check-deps: .venv/.complete ## An SBOM of what production installs, in build/, and known vulnerabilities where they can be asked for.
	$(BIN)/uv venv -q --allow-existing build/audit && $(BIN)/uv pip sync -q --python build/audit/bin/python --require-hashes requirements/audit.txt
	$(BIN)/uv venv -q --allow-existing build/production && $(BIN)/uv pip sync -q --python build/production/bin/python --require-hashes requirements/production.txt
	$(BIN)/python deploy/check_deps.py build

SECONDS ?= 60
fuzz: .venv/.complete ## Hostile bytes at the decoders and readers: make fuzz SECONDS=600.
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

SCHEDULES ?= 10000
SEED ?= 1

prove: .venv/.complete ## Play random schedules of faults on the real code, then on mutants of it: SCHEDULES=10000 SEED=1.
	$(BIN)/python -m tests.model --schedules $(SCHEDULES) --seed $(SEED)

ROUNDS ?= 20

chaos: .venv/.complete ## Rounds of faults on servers of its own, under load, each with a full comparison: ROUNDS=20 SEED=1.
	$(BIN)/python -m tests.chaos --rounds $(ROUNDS) --seed $(SEED)

BENCH_ROUNDS ?= 5

bench: .venv/.complete ## Sink, peers and limit over every workload, in hours; nothing else should run: BENCH_ROUNDS=5.
	$(BIN)/python -m benchmarks run --rounds $(BENCH_ROUNDS)
	$(BIN)/python -m benchmarks report

bench-quick: .venv/.complete ## First load by sink, limit and a hand-written consumer, in under two minutes.
	$(BIN)/python -m benchmarks quick

fmt: .venv/.complete ## Format the code and mend what the linter can.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.complete ## Write the pages that come from the code: settings, metrics, commands, the chart's values.
	$(BIN)/sink config --markdown > docs/configuration.md
	$(BIN)/sink metrics --markdown > docs/metrics.md
	$(BIN)/typer sink.cli utils docs --name sink --title Commands --output docs/cli.md
	$(BIN)/python deploy/helm/build.py

lock: .venv/.complete ## Compile the hashed requirements files anew from pyproject.toml.
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/production.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra stack --group dev --group bench -c requirements/production.txt -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group audit -o requirements/audit.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header benchmarks/systems/quix/requirements.in -o benchmarks/systems/quix/requirements.txt

clean: ## Remove what was built; caches of downloads stay.
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
