#!/usr/bin/env bash
# fuzz.sh TIME runs every fuzz target for that time, two at once, each beginning from its corpus in testdata/fuzz and what
# earlier runs found worth keeping. What makes one fail, again and again, is printed, and stays in testdata/fuzz as a test of its own.
set -uo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
spoils=$(mktemp -d)
trap 'rm -rf "$spoils"' EXIT
export spoils time

# fuzz runs one target: FOLDER NAME.
fuzz() {
  local said=$spoils/${1//\//_}.$2
  # Minimising what is merely new is of no use for so short a run, and may take all of it.
  if go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 20x -parallel 1 "./$1" >"$said" 2>&1; then
    printf '    %-28s %s\n' "$1" "$2: $(grep -o 'execs: [0-9]*' "$said" | tail -1)"
    return
  fi
  if passing "$1" "$2" "$said"; then
    return
  fi
  touch "$spoils/failed"
  {
    printf '    %s %s FAILED\n' "$1" "$2"
    grep -v '^fuzz: elapsed' "$said"
    sed -n 's|^ *Failing input written to \(.*\)|\1|p' "$said" | while read -r input; do
      printf '%s:\n' "$1/$input"
      cat "$1/$input"
    done
  } >&2
}

# passing says that a failure is none of the target's: Go's fuzzing may call it one that a run had not ended when the time was over, and
# what depends on how busy the machine is does not fail again. The latter is printed all the same, to be looked at.
passing() {
  local inputs
  inputs=$(sed -n 's|^ *Failing input written to \(.*\)|\1|p' "$3")
  if [ -z "$inputs" ]; then
    grep -q '^ *context deadline exceeded$' "$3" && printf '    %-28s %s\n' "$1" "$2: the time was over in the middle of a run"
    return
  fi
  go test -run "^$2\$" -count 3 "./$1" >"$3.again" 2>&1 || return 1
  {
    printf '    %s %s failed once, and not again\n' "$1" "$2"
    cat "$3"
  } >&2
  (cd "$1" && cat $inputs >&2 && rm -f $inputs)
}
export -f fuzz passing

targets=$(git grep --untracked -hoE '^func Fuzz[A-Za-z]*' -- '*_test.go' | wc -l)
tools/step.sh "fuzzing $targets targets for $time each, two at once" bash -c '
  git grep --untracked -oE "^func Fuzz[A-Za-z]*" -- "*_test.go" | sed "s|/[^/]*:func | |" | xargs -P 2 -L 1 bash -c "fuzz \$0 \$1"'
[ ! -e "$spoils/failed" ]
