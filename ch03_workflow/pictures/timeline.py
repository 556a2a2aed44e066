"""Figure 3.4 without a browser: what a profiler recorded, a row a call, from the events that it has in memory."""

from matplotlib.figure import Figure

COLOURS = {"named part": "#f2b134", "operation": "#8ab6d6", "autograd's, going backward": "#d98c8c"}


def depth_of(event):
    """Inside how many others of its thread a call ran."""
    return 1 + depth_of(event.cpu_parent) if event.cpu_parent else 0


def kind_of(event):
    if event.name.startswith("autograd::") or "Backward" in event.name:
        return "autograd's, going backward"
    return "named part" if event.is_user_annotation else "operation"


def draw_timeline(events, path, title, deepest=None):
    """Draws a row for each call, in the order of their beginnings, its name at the left, indented below its caller.

    Args:
        events: of a profiler on the CPU, `prof.events()`.
        deepest: calls inside more than so many others are left out; None draws all.
    """
    events = sorted(
        (event for event in events if deepest is None or depth_of(event) <= deepest),
        # Of two that begin together the longer one called the other.
        key=lambda event: (event.time_range.start, -event.time_range.end),
    )
    began = events[0].time_range.start
    figure = Figure(figsize=(11, 1.4 + 0.21 * len(events)), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=f"{title}: a call runs inside the one above it that is less indented")
    for kind, colour in COLOURS.items():
        rows = [row for row, event in enumerate(events) if kind_of(event) == kind]
        starts = [(events[row].time_range.start - began) / 1000 for row in rows]
        durations = [events[row].time_range.elapsed_us() / 1000 for row in rows]
        if rows:
            # The edge keeps a call of no length visible.
            axes.barh(rows, durations, left=starts, height=0.7, color=colour, edgecolor=colour, label=kind)
    names = [
        "    " * depth_of(event) + event.name.removeprefix("autograd::engine::evaluate_function: ") for event in events
    ]
    axes.set_yticks(range(len(events)), names, fontsize=8, ha="left")
    axes.tick_params(axis="y", length=0, pad=8 + 5.2 * max(map(len, names)) * 0.9)
    axes.set(xlabel="time (ms)", ylim=(len(events) - 0.4, -0.6), xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    if len(axes.containers) > 1:
        figure.legend(loc="outside lower center", ncols=len(COLOURS), frameon=False)
    figure.savefig(path)
