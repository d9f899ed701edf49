# Sourced by setup.sh and wasm.sh: which compilers build wasm on this machine.
#
# rustup's target is the way where it can be had. Where it cannot, Debian's rustc builds std from its own sources.
# DRIBLET_WASM=rustup or =debian decides by hand.

target=wasm32-unknown-unknown
target_dir=${CARGO_TARGET_DIR:-$root/target}

has() { command -v "$1" >/dev/null 2>&1; }

# The first of its arguments that is a program here.
first() {
  local name
  for name in "$@"; do
    if has "$name"; then command -v "$name"; return; fi
  done
  return 1
}

rustup_target() { has rustup && (cd "$root" && rustup target list --installed 2>/dev/null) | grep -qx "$target"; }

# Debian's rustc, which is not the one that rustup puts before it.
debian_rustc() { [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -d "$(debian_sources)" ]; }
debian_sources() { echo "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library"; }

wasm_way() {
  if [ -n "${DRIBLET_WASM:-}" ]; then echo "$DRIBLET_WASM"
  elif rustup_target; then echo rustup
  elif debian_rustc; then echo debian
  else return 1
  fi
}

# A clang that knows wasm32, which Apple's does not, and has an archiver. GitHub's machines have a `clang` without one.
wasm_clang() {
  local name
  for name in clang clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 /opt/homebrew/opt/llvm/bin/clang; do
    if has "$name" && "$name" --print-targets 2>/dev/null | grep -q wasm32 && archiver_of "$(command -v "$name")" >/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# The archiver beside that clang.
wasm_archiver() { archiver_of "$(wasm_clang)"; }
archiver_of() { first "$(echo "$1" | sed 's|clang\(-[0-9]*\)\{0,1\}$|llvm-ar\1|')" "$(dirname "$(readlink -f "$1")")/llvm-ar" llvm-ar; }

wasm_linker() {
  local lld
  for lld in "$HOME"/.rustup/toolchains/*/lib/rustlib/*/bin/rust-lld; do
    if [ -x "$lld" ]; then echo "$lld"; return; fi
  done
  first wasm-ld wasm-ld-21 wasm-ld-20 wasm-ld-19 wasm-ld-18
}

bindgen=$target_dir/tools/release/bindgen
