"""What experiments were made to decide: each contrast with its interval, beside the paper's."""

import textwrap

from matplotlib.lines import Line2D

from compactnet.report.figures.style import new_figure
from compactnet.report.tables.contrasts import contrasts
from compactnet.report.tables.verdicts import CONTRADICTED, NOT_ENOUGH, SUPPORTED, UNDECIDED, UNTESTED, verdict_of

COLOURS = {SUPPORTED: "#0072B2", CONTRADICTED: "#D55E00", UNDECIDED: "0.35", NOT_ENOUGH: "0.7", UNTESTED: "0.7"}
PAPER = "#009E73"

LINE_CHARACTERS = 62
"""Width of a claim, which stands beside its interval."""


def figure_contrasts(sources):
    """Return the figure, a panel for each experiment, or None without a contrast whose networks all have runs."""
    by_experiment = {}
    for row in contrasts(sources).rows:
        if "difference" in row:
            by_experiment.setdefault(row["experiment"], []).append(row)
    if not by_experiment:
        return None
    sizes = [len(rows) for rows in by_experiment.values()]
    figure = new_figure(9.6, 0.8 + 0.62 * sum(sizes) + 0.7 * len(sizes))
    panels = figure.subplots(len(sizes), 1, squeeze=False, height_ratios=[size + 0.4 for size in sizes])
    for (experiment, rows), panel in zip(by_experiment.items(), panels[:, 0], strict=True):
        _panel(panel, rows)
        panel.set_title(experiment, fontsize=9)
    panels[-1, 0].set_xlabel("difference of test accuracy, percentage points", fontsize=8)
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="-", label=verdict)
        for verdict, colour in COLOURS.items()
        if verdict != UNTESTED or any(row["verdict"] == UNTESTED for rows in by_experiment.values() for row in rows)
    ]
    handles.append(Line2D([], [], color=PAPER, marker="D", markerfacecolor="white", linestyle=":", label="paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    return figure


def _panel(panel, rows):
    for place, row in enumerate(rows):
        _interval(panel, place - 0.12, row, "", COLOURS[verdict_of(row)], "o", "-", None)
        if row.get("paper_difference") is not None:
            _interval(panel, place + 0.2, row, "paper_", PAPER, "D", ":", "white")
    panel.axvline(0, color="0.6", linewidth=1, zorder=0)
    panel.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=7)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.tick_params(axis="x", labelsize=7)
    panel.grid(axis="x", alpha=0.3)


def _label(row):
    return "\n".join([*textwrap.wrap(row["claim"], LINE_CHARACTERS), f"{row['verdict']}; runs: {row['runs']}"])


def _interval(panel, height, row, prefix, colour, marker, line, face):
    """Draw a difference and, where there is one, its interval."""
    value, low, high = (row.get(f"{prefix}{name}") for name in ("difference", "low", "high"))
    if low is not None:
        panel.plot([low, high], [height, height], line, color=colour, linewidth=1.4)
    panel.plot(value, height, marker, color=colour, markerfacecolor=face or colour, markersize=5)
