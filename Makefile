# Everything a newcomer needs: `make demo` and `make test`. Both install what is missing first.

target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: demo test client bench vectors

# Builds everything, serves real releases of typescript.js and of a wasm module, and prints the URL of a page that syncs them.
demo: client
	cargo build --release --locked -p driblet-cli
	node demo/run.mjs $(target)/release/driblet

# Everything that CI runs.
test:
	scripts/test.sh

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

# spec/vectors.json, written anew; the diff shows what moved.
vectors:
	cargo test --locked -p driblet-core --test vectors -- --ignored
	$(MAKE) test
