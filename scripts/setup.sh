#!/usr/bin/env bash
# Installs what building and testing need, and is quiet where it is there already: setup.sh [wasm] [browser] [proxies] [acme] [ntfs] [python] [npm] [deny]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/toolchain.sh"

main() {
  if [ $# = 0 ]; then set -- wasm browser proxies acme ntfs python npm deny; fi
  local part
  for part in "$@"; do
    case $part in
      wasm | bindgen | browser | proxies | acme | ntfs | python | npm | deny) "setup_$part" ;;
      *) echo "setup.sh: no part is called '$part'; there are: wasm browser proxies acme ntfs python npm deny" >&2; exit 2 ;;
    esac
  done
}

setup_wasm() {
  if [ "${DRIBLET_WASM:-rustup}" = rustup ] && has rustup && ! rustup_target; then
    say "adding rustup's target $target"
    (cd "$root" && rustup target add "$target" >/dev/null 2>&1) || say "rustup cannot; looking for another way"
  fi
  if ! wasm_way >/dev/null || { [ "$(wasm_way)" = debian ] && ! debian_rustc; }; then
    install "a Rust that builds its own std for wasm" rustc-web cargo-web rust-web-src lld-19
  fi
  if ! wasm_clang >/dev/null || ! wasm_archiver >/dev/null; then
    install "a clang for wasm" clang-19 llvm-19
  fi
  setup_bindgen
}

# Made anew when its sources are; wasm-bindgen's two halves must be of one version.
setup_bindgen() {
  local sources=$root/scripts/bindgen
  if [ -x "$bindgen" ] && [ ! "$sources/Cargo.lock" -nt "$bindgen" ] && [ ! "$sources/src/main.rs" -nt "$bindgen" ]; then return; fi
  say "building bindgen, which writes the JavaScript around the wasm module"
  (cd "$sources" && quietly cargo build --release --locked --target-dir "$target_dir/tools")
  touch "$bindgen"
}

setup_browser() {
  if [ -z "${CHROMIUM:-}" ] && ! first chromium chromium-browser google-chrome >/dev/null; then install "a browser to test in" chromium; fi
  if [ -z "${FIREFOX:-}" ] && ! first firefox-esr firefox >/dev/null; then install "another browser to test in" firefox-esr; fi
  if [ -z "${WEBKIT:-}" ] && ! compgen -G "/usr/lib/*/webkit2gtk-4.1/MiniBrowser" >/dev/null; then install "a third browser to test in" libwebkit2gtk-4.1-0; fi
  if ! has Xvfb; then install "a screen for it" xvfb; fi
}

# The tests start them by themselves; as services they would only take port 80.
setup_proxies() {
  local proxy package program
  for proxy in nginx caddy; do
    if has "$proxy"; then continue; fi
    package=$proxy
    if [ "$proxy" = nginx ]; then package=nginx-light; fi
    install "a proxy to test behind" "$package"
    if has systemctl; then as_root systemctl disable --now "$proxy" >/dev/null 2>&1 || true; fi
  done
  for program in curl openssl; do
    if ! has "$program"; then install "a client with TLS, and certificates" "$program"; fi
  done
}

# Both are of one package.
setup_acme() {
  if ! has pebble || ! has pebble-challtestsrv; then install "an authority that gives certificates" pebble; fi
}

# Only root may mount it.
setup_ntfs() {
  if has ntfs-3g || [ "$(id -u)" != 0 ] || [ ! -e /dev/fuse ]; then return; fi
  install "a file system that cannot hold every name" ntfs-3g
}

setup_python() {
  local python=$root/.venv/bin/python wanted=$root/scripts/requirements.txt
  if [ -e "$root/.venv/installed" ] && [ ! "$wanted" -nt "$root/.venv/installed" ]; then return; fi
  say "making .venv for the oracle and the linters"
  if ! python3 -m venv "$root/.venv" >/dev/null 2>&1; then
    install "Python" python3 python3-venv
    python3 -m venv "$root/.venv"
  fi
  quietly "$python" -m pip install --disable-pip-version-check --requirement "$wanted"
  touch "$root/.venv/installed"
}

setup_npm() {
  local lock=$root/npm/package-lock.json installed=$root/npm/node_modules/.installed-lock.json
  if cmp --silent "$lock" "$installed"; then return; fi
  say "installing the npm package's tools"
  (cd "$root/npm" && quietly npm ci --no-audit --no-fund)
  cp "$lock" "$installed"
}

# Checks dependencies. Without optimisation it builds in a minute, and runs in a second.
setup_deny() {
  local version=0.20.2 folder=$target_dir/tools
  if [ "$("$folder/bin/cargo-deny" --version 2>/dev/null)" = "cargo-deny $version" ]; then return; fi
  say "building cargo-deny"
  quietly cargo install cargo-deny --quiet --debug --locked --version "$version" --root "$folder" --target-dir "$folder"
}

install() {
  local what=$1
  shift
  say "installing $what: $*"
  has apt-get || { echo "setup.sh: there is no apt-get here; please install $* or what your system calls them" >&2; exit 1; }
  if ! quietly as_root apt-get install -y --no-install-recommends "$@"; then
    quietly as_root apt-get update
    as_root apt-get install -y --no-install-recommends "$@"
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive "$@"
  elif has sudo; then sudo DEBIAN_FRONTEND=noninteractive "$@"
  else echo "setup.sh: run as root, or install sudo: $*" >&2; return 1
  fi
}

say() { echo "setup: $*"; }

# Keeps a command's output unless it fails.
quietly() {
  local log code=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || code=$?
  [ $code = 0 ] || cat "$log" >&2
  rm -f "$log"
  return $code
}

main "$@"
