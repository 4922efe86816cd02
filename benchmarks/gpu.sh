#!/usr/bin/env bash
# All that is to be known of a GPU, by one command that is meant to take eight minutes (not run on one yet): tests of the engines,
# speed and memory of both presets with every arithmetic, the operations of one step, and one whole run of `robust`, measured.
#
#     bash benchmarks/gpu.sh FOLDER            everything is written into FOLDER
#     DEVICE=cpu STEPS=2 bash benchmarks/gpu.sh FOLDER    the same on a CPU, to see that the script itself works
#
# MNIST is taken from the data root where it is there, else the built-in digits. PYTHON names another interpreter.
set -uo pipefail
out=$(realpath -m "${1:?give a folder for what is found}")
cd "$(dirname "$0")/.."
if [ -e "$out/runs" ]; then
  echo "$out holds the run of an earlier time, which would be measured instead; give another folder" >&2
  exit 2
fi
python=${PYTHON:-.venv/bin/python}
device=${DEVICE:-cuda}
steps=${STEPS:-30}
mkdir -p "$out"
failed=0

# Runs a command, keeps what it prints in FOLDER/NAME.txt, shows the end of that, and goes on when it fails.
keep() {
  local name=$1 begun=$SECONDS
  shift
  echo "== $name: $*"
  timeout 240 "$@" >"$out/$name.txt" 2>&1
  local code=$?
  tail -n 6 "$out/$name.txt"
  echo "== $name ended with $code after $((SECONDS - begun)) s" | tee -a "$out/$name.txt"
  [ $code -eq 0 ] || failed=1
}

"$python" - >"$out/machine.txt" <<'END'
import platform, torch
print(platform.platform(), "torch", torch.__version__, "cuda", torch.version.cuda)
print(torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
END
cat "$out/machine.txt"

keep tests "$python" -m pytest -q -p no:cacheprovider tests/test_engines.py tests/test_host_syncs.py
for preset in paper robust; do
  for arithmetic in exact fast; do
    keep "speed-$preset-$arithmetic" "$python" -m benchmarks.training --device "$device" --preset "$preset" \
      --arithmetic "$arithmetic" --steps "$steps" --single
  done
  keep "operations-$preset" "$python" -m benchmarks.operations --device "$device" --preset "$preset"
done
keep textbook "$python" -m benchmarks.training --device "$device" --preset robust --steps "$steps" --alternations 3 \
  --out "$out/textbook.json"
run=(--store "$out/runs")
keep train "$python" -m icm train --preset robust --device "$device" --run-id robust "${run[@]}" ${RUN_STEPS:+--training.steps "$RUN_STEPS"}
keep evaluate "$python" -m icm evaluate robust --json "${run[@]}"
exit $failed
