#!/usr/bin/env bash
# Scarce minutes on a GPU, spent on what is worth most. A step that is done is not done again: the same command goes on.
#
#     scripts/gpu_minutes.sh MINUTES [FOLDER]          FOLDER (else $OUT, else gpu-minutes): what is to come home
#     TOY=1 scripts/gpu_minutes.sh MINUTES [FOLDER]    the same at toy size on the CPU, which proves this script
#
# In this order: the tests of Triton's kernels and of recorded steps; steps a second at profile paper with each
# rasteriser, and of several trainings at once; then recorded runs of Table 8 at profile paper on procedural13-300, as
# long as the time allows: M-SRN, w/o NC and w/o FC of seed 0, side by side where together they are faster, and then the
# other seeds. FOLDER gets steps.txt, a line for each step, and parts of an archive of at most 60 MB: figures, results and
# shapes' weights in half precision (cat home.tar.* | tar x). 12 minutes on an H100 give the three runs of seed 0.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-}
[[ $minutes =~ ^[1-9][0-9]*$ ]] || { echo "gpu_minutes.sh: MINUTES = '$minutes': expected a whole number, such as 12" >&2; exit 2; }
out=${2:-${OUT:-gpu-minutes}}
python=${PYTHON:-.venv/bin/python}
[ -x "$(command -v "$python")" ] || { echo "gpu_minutes.sh: no $python: make env first, or set PYTHON" >&2; exit 2; }
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

if [ -n "${TOY:-}" ]; then
  profile=smoke data=procedural13-4 device=cpu rows=("w/o NC") seeds=(0) tests=(tests/training/test_cuda_graphs.py)
  one=numba all=numba bench_steps=10 least=20 most=20 unit=20 every=10 scoring=30 patience=5
else
  profile=paper data=procedural13-300 device=cuda rows=("M-SRN" "w/o NC" "w/o FC") seeds=(0 1 2)
  tests=(tests/render/test_triton.py tests/training/test_cuda_graphs.py)
  one=triton all="triton,triton, no graph,torch,pytorch3d" bench_steps=300 least=2000 most=20000 unit=500 every=2000 scoring=140 patience=1
fi
work=${MSRN_RUNS:-runs}/gpu-minutes
home=$work/home # what comes home
mkdir -p "$out" "$home/logs" "$work/done"

left() { echo $((60 * minutes - SECONDS)); }

say() { echo "$1" | tee -a "$home/steps.txt"; }

# step NAME SECONDS COMMAND...: once, within SECONDS and what is left of MINUTES; a line on what was done and how long.
step() {
  local name=$1 limit=$2 begun=$SECONDS code=0 word
  shift 2
  if [ -e "$work/done/$name" ]; then say "$name: done before"; return; fi
  ((limit < $(left))) || limit=$(left)
  if ((limit < 5)); then say "$name: no time left"; return; fi
  timeout -k 10 "$limit" "$@" >"$home/logs/$name.txt" 2>&1 || code=$?
  if [ $code = 124 ] || [ $code = 137 ]; then word="stopped, its time was over"
  elif [ $code != 0 ]; then word="failed with $code: $(tail -n 1 "$home/logs/$name.txt")"
  elif grep -q "left: the same command goes on" "$home/logs/$name.txt"; then word="out of time, goes on next time"
  else word="done"; touch "$work/done/$name"; fi
  say "$name: $word, $((SECONDS - begun)) s of $((60 * minutes)), at $SECONDS s"
}

bench() { # NAME BACKENDS STEPS: into home/NAME.json
  step "$1" $((120 * patience)) "$python" tests/benchmarks/bench_training.py --profile $profile --dataset homeware --device $device \
    --backends "$2" --steps "$3" --rounds 1 --json "$home/$1.json"
}

rate() { # steps a second with the first rasteriser, all of these files together; 0 without any
  "$python" -c 'import json, os, sys
reports = [json.load(open(name)) for name in sys.argv[1:] if os.path.exists(name)]
print(round(sum(next(iter(report["steps_per_second"].values()), 0) for report in reports), 1))' "$@"
}

step tests $((150 * patience)) "$python" -m pytest -q -p no:cacheprovider "${tests[@]}"
bench training "$all" $((bench_steps / 3))
for k in "${!rows[@]}"; do bench "together$k" $one $bench_steps & done
wait
step data $((240 * patience)) "$python" -c "
from msrn import profiles
from msrn.experiments import paper, runner
request = profiles.resolve('$profile', dataset='$data', device='$device')
experiment = runner.Experiment(paper.TABLES['table8'], request)
runner.neighbors_of(experiment, runner.job_of(experiment, runner.WHOLE, 0))"

# How long the runs are is decided once, by the rates measured here, since a run of another length is another run.
if [ ! -e "$work/plan" ]; then
  alone=$(rate "$home/training.json")
  together=$(rate "$home"/together*.json)
  "$python" -c "
alone, together, seconds = $alone, $together, max(0, $(left) - $scoring)
fast = max(alone, together)
steps = min($most, max($least, int(0.85 * fast * seconds / ${#rows[@]}) // $unit * $unit))
print('side' if together > 1.1 * alone else 'turn', steps)" >"$work/plan"
  say "one training: $alone steps a second; ${#rows[@]} at once: $together in all"
fi
read -r how steps <"$work/plan"
say "runs of $steps steps, $([ "$how" = side ] && echo side by side || echo one after the other)"

record() { # ROW SEED
  local name
  name=$(tr -cd 'A-Za-z-' <<<"$1")-seed$2
  step "$name" $((60 * minutes)) "$python" -m msrn record table8 --profile $profile --dataset $data --device $device \
    --seeds "$2" --only "$1" --budget "$(($(left) > scoring ? $(left) - scoring : 1))s" \
    --set steps="$steps" --set stage_switch=$((steps / 20)) --set checkpoint_every=$every
}

for seed in "${seeds[@]}"; do
  (($(left) > scoring)) || break
  for row in "${rows[@]}"; do
    if [ "$how" = side ]; then record "$row" "$seed" & else record "$row" "$seed"; fi
  done
  wait
done

cp results/table8/$data-$profile-*.json "$home" 2>/dev/null || say "no run was recorded"
"$python" scripts/small_checkpoints.py "$home" --dataset $data --megabytes 58 | while read -r line; do say "$line"; done
say "all of it took $SECONDS s"
rm -f "$out"/home.tar.*
tar c -C "$work" home | split -b 15M -d - "$out/home.tar."
cp "$home/steps.txt" "$out"
! grep -q ": failed" "$home/steps.txt"
