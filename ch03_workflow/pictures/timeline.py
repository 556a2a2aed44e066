"""Figure 3.4 without a browser: a Chrome trace, as `export_chrome_trace` writes it, read and drawn."""

import json
from typing import NamedTuple

import matplotlib.pyplot as plt

COLOURS = {"user_annotation": "#f2b134", "cpu_op": "#8ab6d6", "backward": "#d98c8c", "kernel": "#9ccc9c"}
NAMES = {
    "user_annotation": "named part",
    "cpu_op": "operation",
    "backward": "autograd, backward",
    "kernel": "on the GPU",
}


class Bar(NamedTuple):
    """A stretch of time in which something ran; `depth` is how many others of its thread it ran inside of."""

    name: str
    kind: str
    thread: int
    start: float
    duration: float
    depth: int


def read_trace(path):
    """The bars of a trace file, earliest first; times in milliseconds since the first of them.

    Complete events (`"ph": "X"`) of the Trace Event Format are taken: operations, GPU kernels and named parts.
    """
    events = [
        event
        for event in json.loads(path.read_text())["traceEvents"]
        if event.get("ph") == "X" and event.get("cat") in ("cpu_op", "user_annotation", "kernel")
    ]
    # Of two that start together the longer one contains the other.
    events.sort(key=lambda event: (event["ts"], -event["dur"]))
    running = {}  # of each thread, the ends of the events that the next one may lie in
    bars = []
    for event in events:
        ends = running.setdefault(event["tid"], [])
        while ends and ends[-1] <= event["ts"]:
            ends.pop()
        kind = "backward" if "Backward" in event["name"] or "autograd::" in event["name"] else event["cat"]
        start = (event["ts"] - events[0]["ts"]) / 1000
        bars.append(Bar(event["name"], kind, event["tid"], start, event["dur"] / 1000, len(ends)))
        ends.append(event["ts"] + event["dur"])
    return bars


def draw_timeline(bars, path):
    """Draws the bars, a lane a thread and below it the calls inside calls, with the names where they fit."""
    threads = list(dict.fromkeys(bar.thread for bar in bars))
    depths = [1 + max(bar.depth for bar in bars if bar.thread == thread) for thread in threads]
    top = {thread: sum(depths[:number]) + number for number, thread in enumerate(threads)}
    end = max(bar.start + bar.duration for bar in bars)
    figure, axis = plt.subplots(figsize=(13, 1.6 + 0.4 * (sum(depths) + len(depths))), layout="constrained")
    for kind, colour in COLOURS.items():
        chosen = [bar for bar in bars if bar.kind == kind]
        if chosen:
            axis.barh(
                [top[bar.thread] + bar.depth for bar in chosen],
                [bar.duration for bar in chosen],
                left=[bar.start for bar in chosen],
                height=0.9,
                color=colour,
                edgecolor="white",
                linewidth=0.2,
                label=NAMES[kind],
            )
    for bar in bars:
        name = bar.name.removeprefix("aten::").removeprefix("autograd::engine::evaluate_function: ")
        # Some 190 characters of this size fit across the picture.
        if len(name) + 1 < 190 * bar.duration / end:
            middle = bar.start + bar.duration / 2
            axis.text(middle, top[bar.thread] + bar.depth, name, ha="center", va="center", fontsize=7)
    axis.set(xlabel="time (ms)", xlim=(0, end), title="Timeline of the trace: a bar runs inside the one above it")
    axis.set_yticks([top[thread] for thread in threads], [f"thread {thread}" for thread in threads])
    axis.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=len(COLOURS), frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
