#!/bin/bash
# An app of more than 40 packages: `make-app.sh DIR install` installs them into DIR/base,
# `make-app.sh DIR build` bundles it with esbuild, webpack and browserify, before and after small edits, into DIR/out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/out"
app=$(cd "$1" && pwd)

manifest() { # lodash-es-version
  cat <<JSON
{"name":"bench-app","private":true,"version":"1.0.0","dependencies":{
"react":"19.2.8","react-dom":"19.2.8","three":"0.186.0","lodash-es":"$1","lodash":"4.17.21","d3":"7.9.0","codemirror":"6.0.1",
"@codemirror/lang-javascript":"6.2.2","chart.js":"4.4.4","rxjs":"7.8.1","immer":"10.1.1","zustand":"4.5.5","redux":"5.0.1",
"@reduxjs/toolkit":"2.2.7","react-redux":"9.1.2","react-router-dom":"6.26.2","axios":"1.7.7","date-fns":"3.6.0","luxon":"3.5.0",
"uuid":"10.0.0","nanoid":"5.0.7","zod":"3.23.8","yup":"1.4.0","ajv":"8.17.1","marked":"14.1.2","dompurify":"3.1.6",
"highlight.js":"11.10.0","prismjs":"1.29.0","fuse.js":"7.0.0","mathjs":"13.1.1","bignumber.js":"9.1.2","jszip":"3.10.1",
"pako":"2.1.0","leaflet":"1.9.4","moment":"2.30.1","preact":"10.24.0","vue":"3.5.5","mobx":"6.13.2","xstate":"5.18.2",
"i18next":"23.15.1","graphql":"16.9.0","papaparse":"5.4.1","socket.io-client":"4.8.0","handlebars":"4.7.8","buffer":"6.0.3",
"events":"3.3.0","esbuild":"0.23.1","webpack":"5.94.0","webpack-cli":"5.1.4","browserify":"17.0.0"}}
JSON
}

install() { # folder lodash-es-version
  mkdir -p "$app/$1"
  manifest "$2" > "$app/$1/package.json"
  (cd "$app/$1" && npm install --ignore-scripts --legacy-peer-deps 2>&1 | tail -2)
}

bundle() { # name folder source
  cd "$app/$2"
  rm -rf src
  cp -a "$app/$3" src
  local esbuild=(npx esbuild src/main.js --bundle --format=iife --platform=browser --loader:.css=empty --log-level=error)
  "${esbuild[@]}" "--outfile=$app/out/esbuild-dev-$1.js" '--define:process.env.NODE_ENV="development"'
  "${esbuild[@]}" --minify "--outfile=$app/out/esbuild-min-$1.js" '--define:process.env.NODE_ENV="production"'
  # webpack warns about optional peers and exits 1; the bundle is there all the same.
  npx webpack --mode development --entry ./src/main.js -o "$app/out/wd-$1" --output-filename b.js --no-stats 2>&1 | tail -2 || true
  cp "$app/out/wd-$1/b.js" "$app/out/webpack-dev-$1.js"
  npx webpack --mode production --entry ./src/main.js -o "$app/out/wp-$1" --output-filename b.js --no-stats 2>&1 | tail -2 || true
  cp "$app/out/wp-$1/b.js" "$app/out/webpack-prod-$1.js"
  npx browserify src/main-cjs.js -o "$app/out/browserify-$1.js"
  rm -rf src
}

[ -e "$app/base/.installed" ] || { install base 4.17.23; touch "$app/base/.installed"; }
[ "$2" = build ] || exit 0

if [ ! -e "$app/bump/.installed" ]; then
  rm -rf "$app/bump"
  mkdir -p "$app/bump"
  cp -a "$app/base/package-lock.json" "$app/base/node_modules" "$app/bump/"
  install bump 4.18.1
  rm -rf "$app/bump/node_modules/.cache"
  touch "$app/bump/.installed"
fi
node "$here/gen-app.js" "$app"
bundle base base src-base
bundle string base src-string
bundle addmod base src-addmod
bundle bump bump src-base
