"""Accuracy against measured time, for kinds of convolution at equal FLOPs."""

from compactnet.report.figures.style import new_figure
from compactnet.report.tables.rivals import RUNTIMES, rivals

COMPACT, CONTROL, OTHER = "#D55E00", "#0072B2", "0.35"
"""Colours of the paper's networks, the controls for its claim, and other papers' networks."""

LINE = 0.04
"""Height of a line of text, as a part of a panel's."""

CONTROLS = ("first", "learned_squeeze", "separable", "standard")


def figure_rivals(sources):
    """Return the figure, a panel for each experiment, skeleton and runtime, or None without networks that have time and
    accuracy."""
    found = {}
    for row in rivals(sources).rows:
        for runtime in RUNTIMES:
            if _has_both(row, runtime):
                found.setdefault((row["experiment"], row["skeleton"]), {}).setdefault(runtime, []).append(row)
    if not found:
        return None
    width = max(len(by_runtime) for by_runtime in found.values())
    figure = new_figure(5.6 * width, 5.0 * len(found))
    panels = figure.subplots(len(found), width, squeeze=False)
    for ((experiment, skeleton), by_runtime), line in zip(found.items(), panels, strict=True):
        for panel, (runtime, rows) in zip(line, by_runtime.items(), strict=False):
            _panel(panel, runtime, rows)
            # The networks of a skeleton are compared after equal epochs.
            title = f"{experiment}, {skeleton}, {RUNTIMES[runtime]}, {rows[0]['epochs']} epochs"
            panel.set_title(title, fontsize=9)
        for panel in line[len(by_runtime) :]:
            panel.set_axis_off()
    return figure


def _has_both(row, runtime):
    return row.get(f"{runtime}_ms") is not None and row.get("accuracy_percent") is not None


def _panel(panel, runtime, rows):
    points = {row["network"]: (row[f"{runtime}_ms"], row["accuracy_percent"]) for row in rows}
    for row in rows:
        time, accuracy = points[row["network"]]
        panel.errorbar(
            time, accuracy, yerr=row["std"] or 0, fmt="o", color=_colour(row["network"]), markersize=5, capsize=2
        )
    front = pareto_front(points)
    panel.plot(*zip(*[points[name] for name in front], strict=True), "--", color="0.6", linewidth=1, zorder=0)
    panel.set(xscale="log", xlabel="milliseconds per sample", ylabel="test accuracy (%)")
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter("{x:.2g}")
    panel.tick_params(axis="x", which="both", labelsize=7)
    panel.grid(alpha=0.3)
    low, high = panel.get_ylim()
    rows = sorted(rows, key=lambda row: row["accuracy_percent"])
    heights = spread([(row["accuracy_percent"] - low) / (high - low) for row in rows], LINE)
    for row, height in zip(rows, heights, strict=True):
        panel.annotate(
            row["model"].partition(", ")[2] or row["model"],
            points[row["network"]],
            xytext=(1.04, height),
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color=_colour(row["network"]),
            arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.5, "shrinkB": 3},
        )


def spread(heights, gap):
    """Return ascending heights from 0 to 1 moved as little as it takes to keep a gap between them.

    Args:
        heights: The wanted heights, in ascending order.
        gap: The smallest difference between two.
    """
    moved = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    top = 1.0
    for place in reversed(range(len(moved))):
        moved[place] = top = min(moved[place], top)
        top -= gap
    return moved


def pareto_front(points):
    """Return the names of points that no other beats in both time and accuracy, the fastest first.

    Args:
        points: {name: (time, accuracy)}.
    """
    front, best = [], float("-inf")
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if points[name][1] > best:
            front.append(name)
            best = points[name][1]
    return front


def _colour(network):
    if any(f"_{name}" in network for name in CONTROLS):
        return CONTROL
    return COMPACT if network.endswith(("sum_c4", "max_c4")) else OTHER
