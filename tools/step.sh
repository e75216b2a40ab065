#!/usr/bin/env bash
# step.sh "WHAT (NOTE)" COMMAND... runs a command that may be silent for long: says what begins, every 20 seconds that it still
# runs, and at the end how long it took. The command's output and exit status pass unchanged.
set -uo pipefail
what=$1
shift
began=$SECONDS
printf '==> %s\n' "$what"
what=${what%% (*}
# beat waits by a read that nothing ever answers, not by sleep: a sleep would outlive us and hold the output open.
beat() {
  local never
  exec {never}<> <(:)
  until read -rt 20 -u "$never"; do printf '    ... %s: %d s so far\n' "$what" $((SECONDS - began)) >&2; done
}
beat &
beating=$!
trap 'kill "$beating" 2>/dev/null' EXIT
"$@"
status=$?
took=$((SECONDS - began))
if [ "$status" -eq 0 ]; then
  printf '==> %s: done in %d s\n' "$what" "$took"
else
  printf '==> %s: FAILED (exit %d) after %d s\n' "$what" "$status" "$took" >&2
fi
exit "$status"
