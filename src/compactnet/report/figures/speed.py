"""Figs. 4 and 5: complexity and accuracy against speed."""

from matplotlib.lines import Line2D

from compactnet.report import published
from compactnet.report.figures.style import NETWORKS, new_figure
from compactnet.report.paper_tables import accuracy, published_accuracy
from compactnet.report.speed_records import FAMILIES, machine, newest
from compactnet.report.speed_tables import INFERENCE, NAMES, printed_speeds

BASE = next(name for name in FAMILIES if name.startswith("mobilenet"))
"""First network of the sessions that both figures show."""


def figure4(sources):
    """Return Fig. 4, complexity against speed, or None without a session of speed."""
    found = _sessions(sources)
    if not found:
        return None
    figure, panels = _panels(found)
    for panel, ((device, _), session) in zip(panels, found.items(), strict=True):
        mflops = {timing.network: timing.flops / 1e6 for timing in session.timings}
        _lines(panel, mflops, _speeds(session), filled=True)
        _lines(panel, mflops, _printed(sources, device), filled=False)
        panel.set(xscale="log", yscale="log", xlabel="complexity (MFLOPs)", ylabel="speed (samples/s)")
        panel.set_xticks([50, 100, 200, 500, 1000, 2000])
        panel.set_yticks([tick for tick in SPEEDS if _inside(panel.get_ylim(), tick)])
        _plain_ticks(panel)
    return figure


def figure5(sources):
    """Return Fig. 5, accuracy on acoustic scenes against speed, or None without sessions of speed or without runs."""
    found = _sessions(sources)
    runs = {}
    for record in sources.members.get("asc", []):
        runs.setdefault(record["network"], []).append(record)
    ours = {name: accuracy(records).mean for name, records in runs.items() if _is_shown(name)}
    if not found or not ours:
        return None
    paper = {
        published.network_of(row["model"]): published_accuracy(row, "asc").mean
        for row in published.read(sources.published, "table3").to_dict("records")
    }
    figure, panels = _panels(found)
    for panel, ((device, _), session) in zip(panels, found.items(), strict=True):
        _lines(panel, _speeds(session), ours, filled=True)
        _lines(panel, _printed(sources, device), paper, filled=False)
        panel.set(xscale="log", xlabel="speed (samples/s)", ylabel="test accuracy (%)")
        panel.set_xticks([tick for tick in SPEEDS if _inside(panel.get_xlim(), tick)])
        _plain_ticks(panel)
    return figure


SPEEDS = (5, 10, 20, 50, 100, 200, 500, 1000)


def _sessions(sources):
    """Return {(device, runtime): the session shown}."""
    sessions = {
        (device, runtime): newest(sources.sessions, BASE, runtime=runtime, device=device)
        for device, runtime in INFERENCE
    }
    return {where: session for where, session in sessions.items() if session is not None}


def _panels(found):
    """Return a figure with a panel for each session, their titles and the legend."""
    figure = new_figure(4.6 * len(found), 4.9)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for letter, panel, ((device, runtime), session) in zip("abcdefgh", panels, found.items(), strict=False):
        where = "CPU, one thread" if device == "cpu" else "GPU"
        panel.set_title(f"({letter}) {where}, {NAMES[runtime]}\n{_wrapped(machine(session))}", fontsize=9)
    handles = [
        Line2D([], [], color=colour, marker=marker, label=label) for label, (colour, marker, _) in NETWORKS.items()
    ]
    handles.append(Line2D([], [], color="0.3", marker="o", label="measured here"))
    handles.append(Line2D([], [], color="0.3", marker="o", linestyle=":", markerfacecolor="white", label="paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, 1 + 2 * len(found)), fontsize=8)
    return figure, panels


def _speeds(session):
    return {timing.network: 1 / timing.quartiles[1] for timing in session.timings}


def _printed(sources, device):
    return {name: speeds[device] for name, speeds in printed_speeds(sources.published).items()}


def _is_shown(network):
    # Speed is that of the sum; the accuracy beside it is its as well.
    compact = network.startswith("compact_mobilenet_sum_")
    return compact or (network.startswith(("mobilenet_", "shufflenet_")))


def _plain_ticks(panel):
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter("{x:g}")
        if axis.get_scale() == "log":
            axis.set_minor_formatter("")
    panel.grid(alpha=0.3)


def _lines(panel, across, up, filled):
    """Draw a line of points for each kind of network, of those that have both figures."""
    for colour, marker, prefix in NETWORKS.values():
        points = sorted(
            (across[name], up[name]) for name in across if _is_shown(name) and name.startswith(prefix) and name in up
        )
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
