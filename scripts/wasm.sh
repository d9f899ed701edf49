#!/usr/bin/env bash
# Builds crates/wasm and writes it, with the JavaScript and types that load it, to npm/wasm/.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/toolchain.sh"

way=$(wasm_way) || { echo "wasm.sh: no compiler for $target; run scripts/setup.sh wasm" >&2; exit 1; }
clang=$(wasm_clang) || { echo "wasm.sh: no clang that knows wasm32; run scripts/setup.sh wasm" >&2; exit 1; }
archiver=$(wasm_archiver) || { echo "wasm.sh: no llvm-ar beside $clang; run scripts/setup.sh wasm" >&2; exit 1; }

cargo=(cargo)
# Names stay until bindgen has read them and drops them.
arguments=(build --locked --package driblet-wasm --profile wasm --target "$target" --config profile.wasm.strip=false)
flags="-C target-feature=+simd128,+bulk-memory"
if [ "$way" = debian ]; then
  cargo=(env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo)
  arguments+=(-Zbuild-std=std,panic_abort)
  flags+=" -C linker=$(wasm_linker)"
fi

cd "$root"
export CC_wasm32_unknown_unknown=$clang AR_wasm32_unknown_unknown=$archiver
# zstd's own switches for a small decoder: one of its two Huffman decoders, one of its two loops, no inlining, no messages.
small="-DHUF_FORCE_DECOMPRESS_X1=1 -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT=1 -DZSTD_NO_INLINE=1 -DZSTD_STRIP_ERROR_STRINGS=1"
export CFLAGS_wasm32_unknown_unknown="-msimd128 -mbulk-memory $small"
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags
"${cargo[@]}" "${arguments[@]}" "$@"

[ -x "$bindgen" ] || "$root/scripts/setup.sh" bindgen
rm -rf npm/wasm
"$bindgen" "$target_dir/$target/wasm/driblet_wasm.wasm" npm/wasm

# LLVM leaves a fifteenth that Binaryen finds; what it is allowed to use is what the module uses already.
features=(simd bulk-memory bulk-memory-opt nontrapping-float-to-int sign-ext mutable-globals reference-types multivalue)
optimizer=npm/node_modules/.bin/wasm-opt
[ -x "$optimizer" ] || "$root/scripts/setup.sh" npm
# The stack ends at address 0, so no valid address is below 1024; what is called most often has the shortest number.
passes=(--low-memory-unused -O3 -O3 --reorder-functions --strip-producers --strip-target-features)
"$optimizer" "${passes[@]}" "${features[@]/#/--enable-}" npm/wasm/driblet_bg.wasm -o npm/wasm/driblet_bg.wasm
