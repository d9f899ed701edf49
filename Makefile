# `make demo` and `make test` are all that a newcomer needs. Both install what is missing first.

target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: demo check test test-long client bench vectors

# Builds everything, serves real releases of typescript.js, of a wasm module and of an app, and prints the URL of a page that syncs them.
demo: client
	cargo build --release --locked -p driblet-cli
	node demo/run.mjs $(target)/release/driblet

# Format, lints and unit tests: for every commit.
check:
	scripts/check.sh

# Everything that CI runs.
test:
	scripts/test.sh

# Fuzzing: for every release.
test-long:
	scripts/test-long.sh

# The browser client, which `driblet serve` carries.
client:
	scripts/setup.sh wasm npm
	scripts/wasm.sh
	cd npm && npm run --silent build

# The figures in README and bench/RESULTS.md.
bench: client
	cargo build --release --locked -p driblet-cli
	cargo build --release --locked -p driblet-core --example decode --example encode
	python3 bench/run.py

# Writes spec/vectors.json anew. The diff shows what changed.
vectors:
	cargo test --locked -p driblet-core --test vectors -- --ignored
	$(MAKE) test
