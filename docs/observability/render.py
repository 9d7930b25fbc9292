"""Draws the panels of a Grafana dashboard from a Prometheus server.

usage: render.py PROMETHEUS MINUTES DASHBOARD.json PICTURE.png

It reads what the dashboard uses: title, position, unit, expressions and legends of
time series.
"""

import datetime
import json
import re
import sys
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.dates import DateFormatter
from matplotlib.ticker import FuncFormatter

UNITS = {
    "percentunit": lambda value, _: f"{value * 100:.0f} %",
    "s": lambda value, _: f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s",
    "ops": lambda value, _: f"{value:.3g}/s",
    "short": lambda value, _: f"{value:.3g}",
}


def query(server, expression, start, end):
    expression = expression.replace("$__rate_interval", "1m")
    parameters = {"query": expression, "start": start, "end": end, "step": 5}
    url = f"{server}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["data"]["result"]


def legend(template, labels):
    return re.sub(r"{{\s*(\w+)\s*}}", lambda match: labels.get(match[1], ""), template)


def draw(axes, panel, server, start, end):
    axes.set_title(panel["title"], fontsize=11, loc="left", fontweight="bold")
    drawn = 0
    for target in panel["targets"]:
        for series in query(server, target["expr"], start, end):
            points = [(t, float(v)) for t, v in series["values"] if v not in ("NaN", "+Inf")]
            if not points:
                continue
            times = [datetime.datetime.fromtimestamp(t) for t, _ in points]
            label = legend(target["legendFormat"], series["metric"])
            axes.plot(times, [v for _, v in points], linewidth=1.2, label=label)
            drawn += 1
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(UNITS[panel["fieldConfig"]["defaults"]["unit"]]))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    if drawn:
        axes.legend(fontsize=7, ncols=2, loc="upper left")
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center")


def main():
    server, minutes, dashboard, picture = sys.argv[1:]
    with open(dashboard, encoding="utf-8") as file:
        dashboard = json.load(file)
    end = time.time()
    start = end - 60 * float(minutes) + 60
    panels = dashboard["panels"]
    rows = 1 + max(panel["gridPos"]["y"] // 8 for panel in panels)
    figure, grid = plt.subplots(rows, 3, figsize=(18, 3.1 * rows), squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for panel in panels:
        position = panel["gridPos"]
        axes = grid[position["y"] // 8][position["x"] // 8]
        axes.set_visible(True)
        draw(axes, panel, server, start, end)
    figure.suptitle(dashboard["title"], fontsize=15, x=0.02, ha="left")
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    figure.savefig(picture, dpi=72)


main()
