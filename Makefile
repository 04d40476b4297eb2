# Everything that is done with Kehu. `make run` and `make test` need nothing before them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test check advisories contract sdk openapi release schema bench faults migration doc

CUSTOMERS ?= 1000
LISTEN ?= 127.0.0.1:8080
DATABASE_URL ?= sqlite://kehu.db
export DATABASE_URL

help: ## Says what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Installs what the build and the tests need (Debian; rustup elsewhere)
	@.ci/setup

run: setup ## Builds, makes a demonstration bank in SQLite, and serves it
	cargo build --release --locked -p kehu-api
	@target/release/kehu migrate
	@target/release/kehu demo --customers $(CUSTOMERS) --if-empty
	@echo "documentation  http://$(LISTEN)/docs"
	@echo "token          $$(target/release/kehu token --role administrator)"
	@target/release/kehu serve --listen $(LISTEN)

test: setup ## Runs all tests, each on SQLite and on PostgreSQL
	cargo test --locked --workspace

check: setup ## Formatting, lints, document, dependencies, licences
	@.ci/setup-check
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo run -q --locked -p kehu-api -- openapi | diff -q - openapi/openapi.json || { echo "run make openapi"; exit 1; }
	cargo machete --skip-target-dir .
	cargo deny --offline --config .deny.toml check bans licenses sources
	@.ci/advisories
	openapi/lint
	openapi/compare

advisories: ## Known vulnerabilities of dependencies; needs the internet, says so without it, KEHU_ADVISORIES=required to fail
	@.ci/setup-check
	@.ci/advisories

contract: setup ## Fuzzes a live server against its document, on both databases; QUICK=1 for the part that CI runs
	contract/run $(if $(QUICK),quick)

sdk: setup ## Generates clients in TypeScript, Python, Java and Go, compiles them strictly, and runs a call of each against a live server
	sdk/run

openapi: ## Writes openapi/openapi.json anew
	cargo run -q -p kehu-api -- openapi > openapi/openapi.json.new
	mv openapi/openapi.json.new openapi/openapi.json

release: openapi ## Keeps the document as that of its version, with which later ones are compared
	openapi/release

schema: ## Writes crates/kernel/src/schema.rs anew from a migrated PostgreSQL database
	KEHU_WRITE_SCHEMA=1 cargo test -q -p kehu-tests -- rules::schema::the_schema_file_is_current
	cargo fmt -p kehu-kernel

bench: setup ## Measures the goals, each beside its limit: GOAL=S1,S2 N=10000,100000 ONLY=sqlite REPEAT=3 SECONDS=10
	@tests/load/setup
	cargo bench --locked -p kehu-tests --bench load -- $(if $(GOAL),--goal $(GOAL)) $(if $(N),--customers $(N)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(REPEAT),--repeat $(REPEAT)) $(if $(SECONDS),--seconds $(SECONDS))

faults: setup ## Kills, stops, fills and locks what Kehu runs on, and counts what is left: ONLY=kills WRITES=10000 TIMES=50
	@tests/faults/setup
	cargo bench --locked -p kehu-tests --bench faults -- $(if $(ONLY),--only $(ONLY)) $(if $(WRITES),--writes $(WRITES)) \
		$(if $(TIMES),--times $(TIMES))

migration: ## Makes an empty migration in both trees: make migration NAME=add_x_to_y
	@test -n "$(NAME)" || { echo "make migration NAME=verb_table"; exit 1; }
	@stamp=$$(date -u +%Y-%m-%d-%H%M%S); for tree in postgres sqlite; do \
		mkdir -p migrations/$$tree/$${stamp}_$(NAME); touch migrations/$$tree/$${stamp}_$(NAME)/{up,down}.sql; done; \
	echo "migrations/{postgres,sqlite}/$${stamp}_$(NAME)"
