#!/usr/bin/env bash
# lint.sh runs every check of `make lint`, also after one failed, so that one run shows all that is wrong.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
check() { tools/step.sh "$@" || status=1; }

formatted() {
  local files
  files=$(git ls-files --cached --others --exclude-standard '*.go' | xargs -r ls -d 2>/dev/null | xargs -r .bin/gofumpt -l)
  [ -z "$files" ] && return
  printf '%s: not formatted; run make fmt\n' $files >&2
  return 1
}
export -f formatted

tidy() {
  go mod tidy -diff && return
  echo "go.mod: not tidy; run go mod tidy" >&2
  return 1
}
export -f tidy

check "gofumpt" bash -c formatted
check "go mod tidy" bash -c tidy
check "go vet" go vet ./...
check "golangci-lint" .bin/golangci-lint run ./...
exit "$status"
