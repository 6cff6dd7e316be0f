# Each of these does its own set-up; see README.md.
#
#   make demo    start the example services and the gateway, print URLs and queries
#   make test    run every test
#   make bench   measure the gateway against the floor program
#   make chaos   run the gateway over services that fall; MINUTES=30
#   make crash   kill the gateway under queued mutations; KILLS=1000 STORE=embedded|nats|rabbitmq
#   make lint    format, clippy, rustdoc, direction between crates

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
NPM ?= npm
CHROMIUM ?= /usr/bin/chromium
export CHROMIUM

RELEASE := target/release
DIST := target/dist
DEBUG := target/debug
TAILCALL := target/tailcall/node_modules/@tailcallhq/core-linux-x64-gnu/bin/tailcall

PLAYGROUND := playground/dist/index.html
PLAYGROUND_SOURCES := $(shell find playground/src playground/public -type f 2>/dev/null) \
	playground/index.html playground/vite.config.ts playground/tsconfig.json

.PHONY: help demo test bench chaos crash lint check-node chromium redis brokers test-rust test-playground test-audit test-clients direction

help:
	@sed -n 's/^#   //p' Makefile

demo: $(PLAYGROUND)
	$(CARGO) build --release --locked -p switchboard -p switchboard-subgraphs
	exec $(RELEASE)/switchboard demo

# Browser, Redis and brokers first: a machine without them should not find out after ten minutes.
test: chromium redis brokers $(PLAYGROUND)
	$(MAKE) --no-print-directory test-rust test-audit test-clients test-playground

test-rust: redis brokers $(PLAYGROUND)
	$(CARGO) test --workspace --locked

test-playground: chromium $(PLAYGROUND)
	$(CARGO) build --locked -p switchboard -p switchboard-subgraphs
	cd playground && $(NPM) test
	cd playground && $(NPM) run test:panels
	cd playground && SWITCHBOARD_BIN=../$(DEBUG)/switchboard SUBGRAPHS_BIN=../$(DEBUG)/switchboard-subgraphs \
		$(NPM) run test:gateway

# Apollo Client, urql and Relay over the example services.
test-clients: tests/clients/node_modules/.package-lock.json
	$(CARGO) build --locked -p switchboard -p switchboard-subgraphs
	cd tests/clients && SWITCHBOARD_BIN=../../$(DEBUG)/switchboard SUBGRAPHS_BIN=../../$(DEBUG)/switchboard-subgraphs $(NPM) test

# The public audit of GraphQL over HTTP.
test-audit: gateway/server/audit/node_modules/.package-lock.json
	$(CARGO) build --locked -p switchboard
	cd gateway/server/audit && SWITCHBOARD_BIN=../../../$(DEBUG)/switchboard $(NPM) test

bench: $(PLAYGROUND)
	$(CARGO) build --profile dist --locked --bins -p switchboard -p switchboard-subgraphs -p switchboard-tests
	@$(MAKE) --no-print-directory $(TAILCALL) || echo 'bench: npm did not bring Tailcall; its rows are left out'
	$(DIST)/bench run $$(test -x $(TAILCALL) && echo --tailcall $(TAILCALL))
	$(DIST)/bench run --rows shop,hostile
	$(CARGO) run --profile dist --locked -p switchboard-queue --example enqueue

MINUTES ?= 30

chaos: $(PLAYGROUND)
	$(CARGO) build --release --locked --bins -p switchboard -p switchboard-tests
	$(RELEASE)/chaos --minutes $(MINUTES)

KILLS ?= 1000
STORE ?= embedded

crash: redis brokers $(PLAYGROUND)
	$(CARGO) build --release --locked --bins -p switchboard -p switchboard-tests
	$(RELEASE)/crash --kills $(KILLS) --store $(STORE)

lint: $(PLAYGROUND)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items --locked
	$(MAKE) --no-print-directory direction

direction:
	.ci/direction

# The page that the gateway embeds.
$(PLAYGROUND): playground/node_modules/.package-lock.json $(PLAYGROUND_SOURCES)
	cd playground && $(NPM) run build
	@touch $@

playground/node_modules/.package-lock.json: playground/package.json playground/package-lock.json | check-node
	cd playground && $(NPM) ci --no-audit --no-fund
	@touch $@

gateway/server/audit/node_modules/.package-lock.json: gateway/server/audit/package.json gateway/server/audit/package-lock.json | check-node
	cd gateway/server/audit && $(NPM) ci --no-audit --no-fund
	@touch $@

tests/clients/node_modules/.package-lock.json: tests/clients/package.json tests/clients/package-lock.json | check-node
	cd tests/clients && $(NPM) ci --no-audit --no-fund
	@touch $@

# An executable of another project, to measure beside the gateway; never part of it.
$(TAILCALL):
	mkdir -p target/tailcall
	cd target/tailcall && $(NPM) install --no-save --no-audit --no-fund --prefix . @tailcallhq/core-linux-x64-gnu@1.0.0

check-node:
	@command -v $(NPM) >/dev/null || { echo 'make: node 20.19 or later with npm is needed: https://nodejs.org/en/download'; exit 1; }

# Debian's browser, for the playground's tests. Installed where that needs no password.
chromium:
	@test -x "$(CHROMIUM)" \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
		|| { sudo -n apt-get update -qq && sudo -n apt-get install -y -qq --no-install-recommends chromium; } \
		|| true
	@test -x "$(CHROMIUM)" || { echo 'make: chromium is needed: sudo apt-get install chromium (or CHROMIUM=/path/to/it)'; exit 1; }

# Debian's Redis, for the tests of shared rate limits. Installed where that needs no password.
redis:
	@command -v redis-server >/dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server; } \
		|| { sudo -n apt-get update -qq && sudo -n apt-get install -y -qq --no-install-recommends redis-server; } \
		|| true
	@command -v redis-server >/dev/null || { echo 'make: redis-server is needed: sudo apt-get install redis-server'; exit 1; }

# Debian's NATS and RabbitMQ servers, for the tests of the durable queue. Installed where that needs no password; the
# service that comes with RabbitMQ is not needed, and not started where that can be said beforehand.
brokers: export PATH := $(PATH):/usr/sbin
brokers: export RUNLEVEL := 1
brokers:
	@for broker in nats-server rabbitmq-server; do \
		command -v $$broker >/dev/null \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends $$broker; } \
		|| { sudo -n apt-get update -qq && sudo -n apt-get install -y -qq --no-install-recommends $$broker; } \
		|| true; \
		command -v $$broker >/dev/null || { echo "make: $$broker is needed: sudo apt-get install $$broker"; exit 1; }; \
	done
