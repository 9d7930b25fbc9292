#!/usr/bin/env bash
# Draws dashboard.png: runs the example and Prometheus for some minutes, and draws
# the panels of dashboard.json from what Prometheus answers.
#
# usage: docs/observability/screenshot.sh [MINUTES]
#
# Needs `memory setup`, Python 3 with venv, and Prometheus (`cargo xtask prometheus`
# unpacks Debian's package). It is no picture of Grafana: render.py draws the same
# panels, expressions and legends with matplotlib.
set -euo pipefail
minutes=${1:-5}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -r "$work"
}
trap stop EXIT

prometheus=$(cd "$root" && cargo --quiet xtask prometheus | tail -n 1)
example=$root/examples/observability
(cd "$example" && cargo build --quiet)
target=${CARGO_TARGET_DIR:-$example/target}
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install matplotlib

"$target/debug/observability" --listen 127.0.0.1:9464 >/dev/null &
pids+=($!)
sed 's/example:9464/127.0.0.1:9464/' "$here/prometheus.yml" >"$work/prometheus.yml"
cp "$here/alerts.yml" "$work/"
"$prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
  --web.listen-address=127.0.0.1:9099 2>"$work/prometheus.log" &
pids+=($!)
sleep $((minutes * 60))
"$work/venv/bin/python" "$here/render.py" http://127.0.0.1:9099 "$minutes" \
  "$here/dashboard.json" "$here/dashboard.png"
