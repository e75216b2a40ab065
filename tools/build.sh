#!/usr/bin/env bash
# build.sh NAME MODULE PACKAGE NOTE builds a tool pinned in tools/MODULE/go.mod to .bin/NAME, once: the hash of the module's go.sum,
# kept beside the binary, says whether the binary is still the pinned one.
set -euo pipefail
name=$1 module=$2 package=$3 note=$4
root=$(cd "$(dirname "$0")/.." && pwd)
binary=$root/.bin/$name
pinned=$(cat "$root/tools/$module/go.mod" "$root/tools/$module/go.sum" | sha256sum | cut -d' ' -f1)
if [ -x "$binary" ] && [ "$(cat "$binary.pin" 2>/dev/null)" = "$pinned" ]; then
  exit 0
fi
mkdir -p "$root/.bin"
cd "$root/tools/$module"
export CGO_ENABLED=0 GOWORK=off
"$root/tools/step.sh" "building $name ($note)" \
  go build -p 2 -trimpath -buildvcs=false -ldflags='-s -w' -o "$binary.new" "$package"
mv "$binary.new" "$binary"
echo "$pinned" >"$binary.pin"
