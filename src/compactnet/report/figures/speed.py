"""Figs. 4 and 5: complexity and accuracy against speed."""

from matplotlib.lines import Line2D

from compactnet.measure.speed_records import FAMILIES, PAPER_WORK, describe_machine, newest
from compactnet.report import published
from compactnet.report.comparison import accuracy
from compactnet.report.figures.style import NETWORKS, new_figure
from compactnet.report.tables.speed_columns import INFERENCE, RUNTIME_NAMES

BASELINE = next(name for name in FAMILIES if name.startswith("mobilenet"))
"""First network of the speed records that both figures show."""


def figure4(sources):
    """Return Fig. 4, complexity against speed, or None without a speed record."""
    found = _speed_records(sources)
    if not found:
        return None
    figure, panels = _panels(found)
    for panel, ((device, _), record) in zip(panels, found.items(), strict=True):
        mflops = {timings.network: timings.flops / 1e6 for timings in record.networks}
        _lines(panel, mflops, _speeds(record), filled=True)
        _lines(panel, mflops, _printed(sources, device), filled=False)
        panel.set(xscale="log", yscale="log", xlabel="complexity (MFLOPs)", ylabel="speed (samples/s)")
        panel.set_xticks([50, 100, 200, 500, 1000, 2000])
        panel.set_yticks([tick for tick in SPEEDS if _inside(panel.get_ylim(), tick)])
        _plain_ticks(panel)
    return figure


def figure5(sources):
    """Return Fig. 5, accuracy on acoustic scenes against speed, or None without speed records or without runs."""
    found = _speed_records(sources)
    networks = {record.run.network.name for record in sources.members.get("asc", ())}
    ours = {name: accuracy(sources.records_of("asc", name)).mean for name in networks if _is_shown(name)}
    if not found or not ours:
        return None
    paper = {
        published.network_of(row["model"]): published.published_accuracy(row, "asc").mean
        for row in published.read(sources.published, "table3")
    }
    figure, panels = _panels(found)
    for panel, ((device, _), record) in zip(panels, found.items(), strict=True):
        _lines(panel, _speeds(record), ours, filled=True)
        _lines(panel, _printed(sources, device), paper, filled=False)
        panel.set(xscale="log", xlabel="speed (samples/s)", ylabel="test accuracy (%)")
        panel.set_xticks([tick for tick in SPEEDS if _inside(panel.get_xlim(), tick)])
        _plain_ticks(panel)
    return figure


SPEEDS = (5, 10, 20, 50, 100, 200, 500, 1000)


def _speed_records(sources):
    """Return {(device, runtime): the speed record shown}."""
    found = {
        (device, runtime): newest(sources.speed_records, BASELINE, runtime=runtime, device=device, **PAPER_WORK)
        for device, runtime in INFERENCE
    }
    return {where: record for where, record in found.items() if record is not None}


def _panels(found):
    """Return a figure with a panel for each speed record, their titles and the legend."""
    figure = new_figure(4.6 * len(found), 4.9)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for letter, panel, ((device, runtime), record) in zip("abcdefgh", panels, found.items(), strict=False):
        where = "CPU, one thread" if device == "cpu" else "GPU"
        panel.set_title(
            f"({letter}) {where}, {RUNTIME_NAMES[runtime]}\n{_wrapped(describe_machine(record))}", fontsize=9
        )
    handles = [
        Line2D([], [], color=colour, marker=marker, label=label) for label, (colour, marker, _) in NETWORKS.items()
    ]
    handles.append(Line2D([], [], color="0.3", marker="o", label="measured here"))
    handles.append(Line2D([], [], color="0.3", marker="o", linestyle=":", markerfacecolor="white", label="paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, 1 + 2 * len(found)), fontsize=8)
    return figure, panels


def _speeds(record):
    return {timings.network: 1 / timings.quartiles[1] for timings in record.networks}


def _printed(sources, device):
    return {name: speeds[device] for name, speeds in published.published_speeds(sources.published).items()}


def _is_shown(network):
    # Speed was measured with the sum, so the accuracy is the sum's too.
    compact = network.startswith("compact_mobilenet_sum_")
    return compact or (network.startswith(("mobilenet_", "shufflenet_")))


def _plain_ticks(panel):
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter("{x:g}")
        if axis.get_scale() == "log":
            axis.set_minor_formatter("")
    panel.grid(alpha=0.3)


def _lines(panel, across, up, filled):
    """Draw a line of points for each kind of network, of those that have both values."""
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
