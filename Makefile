# One verb a line: `make` lists them. Options go to the scripts themselves (./test.sh --help).
.PHONY: help setup run test soak unit check fmt catalogues pictures lock image env up down ps logs doctor upgrade boards audit bench
BIN := .venv/bin
UI := src/stroke/entrypoints/ui
# No index address may get into a pin file, whatever this machine is set to.
COMPILE := env -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL $(BIN)/uv pip compile -q --universal \
	--python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links pyproject.toml --group build

help:   ## list the verbs
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup:  ## a .venv with the hashed development pins
	@deploy/python/set-up.sh dev

run:    ## serve on http://127.0.0.1:8000 (= ./run.sh)
	@./run.sh

test:   ## the gate: what every change must pass, as CI runs it (= ./test.sh)
	@./test.sh

soak:   ## everything, for hours; AREA="pipeline spark" runs all tests of these areas
	@./test.sh --soak $(AREA)

unit: setup ## the fast tests: fakes, no I/O
	@$(BIN)/pytest -q tests/unit

check:  ## ruff (bandit's rules among its own), formatting, mypy, import contracts, secrets, shellcheck
	@./test.sh --only-check

fmt: setup ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix-only --quiet && $(BIN)/ruff format --quiet

catalogues: setup ## the page's catalogues with every text of its sources; new ones are empty
	@mkdir -p build && $(BIN)/pybabel -q extract -F $(UI)/catalogues/babel.cfg -k say -k say_n:1,2 --no-location \
		--sort-output --omit-header -w 100 -o build/page.pot src/stroke
	@for file in $(UI)/catalogues/*.po; do $(BIN)/pybabel -q update -i build/page.pot -o $$file \
		-l $$(basename $$file .po) -N --ignore-obsolete -w 100; done

pictures: setup ## docs/page.png, as a test of the page photographs it
	@$(BIN)/pytest -q -n 0 tests/integration/test_clinic_page.py -k "each_page and 1440-light-en"
	@cp build/pages/calculator-1440-light-en.png docs/page.png

lock: setup ## requirements/*.txt from pyproject.toml (UPGRADE=1 takes newer versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) -o requirements/app.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra train -c requirements/app.txt -o requirements/train.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra pipeline -c requirements/train.txt -o requirements/pipeline.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra analytics -c requirements/pipeline.txt -o requirements/analytics.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra analytics --extra spark -c requirements/train.txt -c requirements/analytics.txt -o requirements/spark.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra analytics --extra spark --extra notebook -c requirements/spark.txt -o requirements/notebook.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra train --extra pipeline --extra analytics --group dev -c requirements/train.txt -c requirements/analytics.txt -c requirements/pipeline.txt -o requirements/dev.txt
	$(subst pyproject.toml --group build,--group infrastructure,$(COMPILE)) $(if $(UPGRADE),--upgrade) -c requirements/dev.txt -o requirements/infrastructure.txt
	$(subst pyproject.toml --group build,--group uv,$(COMPILE)) $(if $(UPGRADE),--upgrade) -c requirements/dev.txt -o requirements/uv.txt
	$(subst pyproject.toml --group build,--group checkov,$(COMPILE)) $(if $(UPGRADE),--upgrade) -o requirements/checkov.txt
	$(subst pyproject.toml --group build,--group evidently,$(COMPILE)) $(if $(UPGRADE),--upgrade) -o requirements/evidently.txt
	@! grep -nE '^ *--(index|extra-index|find-links|trusted)|://' requirements/*.txt

image:  ## the service's image; prints its tag
	@deploy/images/build.sh api

env:    ## deploy/.env from its example, with random passwords, if it is not there
	@deploy/make-env.sh
	@if docker compose version > /dev/null 2>&1; then deploy/secrets.sh; fi

up: env ## the whole platform on this host (deploy/compose.yaml), waiting until it is healthy
	@deploy/stack.sh up

down: env ## stop the platform; its data stay
	@deploy/stack.sh down

ps: env ## what runs
	@deploy/stack.sh ps

logs: env ## follow the logs
	@deploy/stack.sh logs

doctor: env ## examine the running platform end to end, and say what to do about what is ill
	@deploy/stack.sh doctor

upgrade: env ## bring the platform to this checkout: images, schema, API, connectors, doctor
	@deploy/upgrade.sh

boards: setup ## the dashboards' JSON from their code (deploy/grafana/boards)
	@PYTHONPATH=deploy/grafana $(BIN)/python -m boards

audit: setup ## known vulnerabilities in what is shipped (needs the index that lists them)
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements/app.txt

bench: setup ## the figures of docs/figures.md, as ratios from one run
	@$(BIN)/python bench/service.py
	@$(BIN)/python bench/shadow.py
	@$(BIN)/python bench/monitoring.py
	@$(BIN)/python bench/page.py
	@$(BIN)/python bench/bulk.py
	@$(BIN)/python bench/scoring.py
	@$(BIN)/python bench/avro.py
	@$(BIN)/python bench/pipeline.py
	@$(BIN)/python bench/analytics.py
	@$(BIN)/python bench/replay.py
	@$(BIN)/python bench/compare.py
	@$(BIN)/python bench/spark.py
	@$(BIN)/python bench/models.py ../shared/data/healthcare-dataset-stroke-data.csv
