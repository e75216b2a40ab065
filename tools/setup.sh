#!/usr/bin/env bash
# setup.sh sees to it that all that `make test` needs is there. As root on Debian it installs what is missing; elsewhere it names
# what is missing and how to get it, and fails. It never lets a test be skipped for want of a tool.
set -euo pipefail
cd "$(dirname "$0")/.."

# One line per need: the command, or python:module of /usr/bin/python3 | the Debian package that has it | what for | how to get it elsewhere.
needs='
gcc|gcc libc6-dev|the race detector (go test -race links with cgo)|the C compiler of your system, for instance xcode-select --install
prometheus|prometheus|the test in which a real Prometheus scrapes mlproxy|https://prometheus.io/download/ or brew install prometheus
promtool|prometheus|the check of the metrics page (promtool check metrics)|https://prometheus.io/download/ or brew install prometheus
python:sklearn|python3-sklearn|the test in which a real scikit-learn server is inspected|a container of Debian: the test takes /usr/bin/python3
python:fastapi|python3-fastapi|the same|the same
python:uvicorn|python3-uvicorn|the same|the same
'

# there says whether a command or a module is.
there() {
  case $1 in
  python:*) /usr/bin/python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "${1#python:}" 2>/dev/null ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

# lacking prints the lines of needs that are not there.
lacking() {
  local line
  while IFS= read -r line; do
    [ -z "$line" ] || there "${line%%|*}" || printf '%s\n' "$line"
  done <<<"$needs"
}

# name_missing says what is missing and how to get it.
name_missing() {
  local command package purpose elsewhere
  while IFS='|' read -r command package purpose elsewhere; do
    printf '  %-11s needed for %s\n              Debian: apt-get install %s; else: %s\n' "$command" "$purpose" "$package" "$elsewhere"
  done <<<"$1" >&2
}

# check_go fails unless a Go that understands go.mod is there: no package of Debian stable is new enough.
check_go() {
  local wanted have
  wanted=$(awk '$1 == "go" {print $2}' go.mod)
  have=$(go env GOVERSION 2>/dev/null || true)
  have=${have#go}
  if [ -z "$have" ] || [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -1)" != "$wanted" ]; then
    echo "setup: Go ${have:-(none)} found; mlproxy needs Go $wanted or newer: https://go.dev/dl/" >&2
    exit 1
  fi
}

# without_services runs a command while packages must not start the services they carry: prometheus is wanted as a program, not
# as a service on this machine.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap "rm -f $policy" EXIT
  "$@"
  rm -f "$policy"
  trap - EXIT
}

# quietly runs a command and shows its output only if it fails.
quietly() {
  local said
  said=$("$@" 2>&1) && return
  printf '%s\n' "$said" >&2
  return 1
}
export -f quietly

install() {
  local packages=$1
  export DEBIAN_FRONTEND=noninteractive
  tools/step.sh "apt-get update" bash -c 'quietly apt-get update'
  without_services tools/step.sh "apt-get install $packages" bash -c "quietly apt-get install -y --no-install-recommends $packages"
  # Installed for its program only: the service must not come up at the next boot either.
  case " $packages " in *" prometheus "*)
    if [ -d /run/systemd/system ]; then systemctl disable --quiet prometheus || true; fi
    ;;
  esac
}

check_go
missing=$(lacking)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; then
  packages=$(cut -d'|' -f2 <<<"$missing" | tr ' ' '\n' | sort -u | paste -sd' ')
  echo "setup: installing from Debian, without starting any service: $packages"
  install "$packages"
  missing=$(lacking)
  [ -n "$missing" ] || exit 0
fi
echo "setup: missing on this machine:" >&2
name_missing "$missing"
exit 1
