#!/usr/bin/env bash
# Builds crates/wasm, in three variants, and crates/wasm-browser-sync-stream and writes them, with the JavaScript and types that load them, to npm/wasm/ and npm/wasm-browser-sync-stream/.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/toolchain.sh"

way=$(wasm_way) || { echo "wasm.sh: no compiler for $target; run scripts/setup.sh wasm" >&2; exit 1; }
clang=$(wasm_clang) || { echo "wasm.sh: no clang that knows wasm32; run scripts/setup.sh wasm" >&2; exit 1; }
archiver=$(wasm_archiver) || { echo "wasm.sh: no llvm-ar beside $clang; run scripts/setup.sh wasm" >&2; exit 1; }

cargo=(cargo)
# Names stay until bindgen has read them and drops them.
arguments=(build --locked --profile wasm --target "$target" --config profile.wasm.strip=false)
# A panic's place in the source reaches nobody in a browser; without it modules are 3 % smaller. The flag is not a stable one.
export RUSTC_BOOTSTRAP=1
flags="-C target-feature=+simd128,+bulk-memory -Zlocation-detail=none"
if [ "$way" = debian ]; then
  cargo=(env RUSTC=/usr/bin/rustc /usr/bin/cargo)
  arguments+=(-Zbuild-std=std,panic_abort --ignore-rust-version)
  flags+=" -C linker=$(wasm_linker)"
  # Debian's compiler is older than rust-version: it has features that these packages need, but not yet as stable ones.
  arguments+=(-Zprofile-rustflags)
  unstable() { arguments+=(--config "profile.wasm.package.$1.rustflags=['-Zcrate-attr=feature($2)']"); }
  unstable fastcdc unsigned_is_multiple_of
  unstable sha2 slice_as_chunks
  for package in driblet-core driblet-wasm driblet-wasm-browser-sync-stream; do
    unstable "$package" let_chains,slice_as_chunks,unsigned_is_multiple_of,vec_pop_if
  done
fi

cd "$root"
export CC_wasm32_unknown_unknown=$clang AR_wasm32_unknown_unknown=$archiver
# zstd's own switches for a small decoder: one of its two Huffman decoders, one of its two loops, no inlining, no messages.
small="-DHUF_FORCE_DECOMPRESS_X1=1 -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT=1 -DZSTD_NO_INLINE=1 -DZSTD_STRIP_ERROR_STRINGS=1"
export CFLAGS_wasm32_unknown_unknown="-msimd128 -mbulk-memory $small"
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags
more=("$@")
# build PACKAGE ARGUMENTS: one package after the other, for together they would have the features of all.
build() { "${cargo[@]}" "${arguments[@]}" --package "$@" ${more[@]+"${more[@]}"}; }

[ -x "$bindgen" ] || "$root/scripts/setup.sh" bindgen
# LLVM leaves a fifteenth that Binaryen finds; what it is allowed to use is what the module uses already.
features=(simd bulk-memory bulk-memory-opt nontrapping-float-to-int sign-ext mutable-globals reference-types multivalue)
optimizer=npm/node_modules/.bin/wasm-opt
[ -x "$optimizer" ] || "$root/scripts/setup.sh" npm
# The stack ends at address 0, so no valid address is below 1024; what is called most often has the shortest number.
first=(--low-memory-unused -O3 -O3 -O3)
last=(--reorder-functions --strip-producers --strip-target-features)

# bind CRATE FOLDER [LEVEL OF THE LAST PASS]
bind() {
  rm -rf "$2"
  "$bindgen" "$target_dir/$target/wasm/$1.wasm" "$2"
  "$optimizer" "${first[@]}" "${3:--O3}" "${last[@]}" "${features[@]/#/--enable-}" "$2/driblet_bg.wasm" -o "$2/driblet_bg.wasm"
}
build driblet-wasm
bind driblet_wasm npm/wasm
# Loaded only for a delta in one of these codecs, and for a signature.
# Webpack warns of modules above 249,856 bytes. The core's models wait for memory: "s" costs them some hundredths of the time.
sizes=(--config 'profile.wasm.package.driblet-core.opt-level="s"')
for package in libz-sys flate2 base64 fastcdc blake3; do
  sizes+=(--config "profile.wasm.package.$package.opt-level='s'")
done
build driblet-wasm --features codecs "${sizes[@]}"
bind driblet_wasm npm/wasm/codecs -Oz
# Directories have a module of their own, so that syncs of files do not load it. No part comes in the dense codec. 4 kB less
# under brotli for "s": what takes time in it are the hash and zstd, which have levels of their own.
build driblet-wasm --features directories --config 'profile.wasm.package.driblet-core.opt-level="s"'
bind driblet_wasm npm/wasm/directories
build driblet-wasm-browser-sync-stream
bind driblet_wasm_browser_sync_stream npm/wasm-browser-sync-stream
