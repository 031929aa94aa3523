"""The paper's figures from records, as PNG and SVG of the same bytes each time."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from compactnet.files import remove, replaced
from compactnet.report.speed_records import FAMILIES, machine, newest
from compactnet.report.speed_tables import INFERENCE, NAMES, printed_speeds

# Okabe and Ito's colours, which people with any colour vision tell apart; the markers say the same.
STYLES = {
    "CompactNet (C=2, 4, 8)": ("#D55E00", "o", "compact_mobilenet_"),
    "MobileNet v1 (1.0, 0.5, 0.25)": ("#0072B2", "s", "mobilenet_v1_"),
    "MobileNet v2 (1.0, 0.5, 0.25)": ("#009E73", "^", "mobilenet_v2_"),
    "ShuffleNet v1 (2x, 1x, 0.5x)": ("#CC79A7", "D", "shufflenet_v1_"),
    "ShuffleNet v2 (2x, 1x, 0.5x)": ("#E69F00", "v", "shufflenet_v2_"),
}
"""Colour, marker and the beginning of the catalogue names of each line of networks in Figs. 4 and 5."""


def write_figures(folder, sources):
    """Write every figure that there are records for; arguments and result as `write_figure4`."""
    return write_figure4(Path(folder), sources)


def write_figure4(folder, sources):
    """Write Fig. 4, complexity against speed: a panel for each runtime and device that was timed.

    Args:
        folder: Where `figure4.png` and `figure4.svg` go.
        sources: The `Sources` of the tables.

    Returns:
        Names of the figures written; without a session of speed the figure is removed.
    """
    base = next(name for name in FAMILIES if name.startswith("mobilenet"))
    found = {}
    for device, runtime in INFERENCE:
        session = newest(sources.sessions, base, runtime=runtime, device=device)
        if session is not None:
            found[device, runtime] = session
    if not found:
        for ending in ("png", "svg"):
            remove(folder / f"figure4.{ending}")
        return []
    figure = Figure(figsize=(4.6 * len(found), 4.9), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    paper = printed_speeds(sources.published)
    for letter, panel, ((device, runtime), session) in zip("abcdefgh", panels, found.items(), strict=False):
        mflops = {timing.network: timing.flops / 1e6 for timing in session.timings}
        measured = {timing.network: 1 / timing.quartiles[1] for timing in session.timings}
        printed = {name: speeds[device] for name, speeds in paper.items()}
        _lines(panel, mflops, measured, filled=True)
        _lines(panel, mflops, printed, filled=False)
        where = "CPU, one thread" if device == "cpu" else "GPU"
        panel.set_title(f"({letter}) {where}, {NAMES[runtime]}\n{_wrapped(machine(session))}", fontsize=9)
        panel.set(xscale="log", yscale="log", xlabel="complexity (MFLOPs)", ylabel="speed (samples/s)")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        panel.set_xticks([50, 100, 200, 500, 1000, 2000])
        panel.set_yticks([tick for tick in (5, 10, 20, 50, 100, 200, 500, 1000) if _inside(panel.get_ylim(), tick)])
        panel.grid(alpha=0.3)
    handles = [
        Line2D([], [], color=colour, marker=marker, label=label) for label, (colour, marker, _) in STYLES.items()
    ]
    handles.append(Line2D([], [], color="0.3", marker="o", label="measured here"))
    handles.append(Line2D([], [], color="0.3", marker="o", linestyle=":", markerfacecolor="white", label="paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, 1 + 2 * len(found)), fontsize=8)
    _save(figure, folder / "figure4")
    return ["figure4"]


def _lines(panel, mflops, speeds, filled):
    for colour, marker, prefix in STYLES.values():
        points = sorted((mflops[name], speeds[name]) for name in mflops if name.startswith(prefix) and name in speeds)
        if points:
            face = colour if filled else "white"
            style = "-" if filled else ":"
            panel.plot(*zip(*points, strict=True), style, color=colour, marker=marker, markerfacecolor=face)


def _inside(limits, value):
    return limits[0] <= value <= limits[1]


def _wrapped(text):
    """Return a comma-separated text in two lines of about the same length."""
    parts = text.split(", ")
    middle = (len(parts) + 1) // 2
    return ", ".join(parts[:middle]) + "\n" + ", ".join(parts[middle:])


def _save(figure, path):
    # Neither dates nor random identifiers, so that the same records give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "path"}):
        for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            with replaced(path.with_suffix(f".{ending}")) as partial:
                figure.savefig(partial, format=ending, dpi=150, metadata=metadata)
