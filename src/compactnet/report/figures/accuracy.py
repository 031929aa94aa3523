"""Figs. 3 and 7: the effect of the interchannel operation on convergence and accuracy."""

import numpy as np
from matplotlib.lines import Line2D

from compactnet.report import published
from compactnet.report.comparison import accuracy
from compactnet.report.figures.style import OPERATIONS, new_figure
from compactnet.report.tables.guidelines import FACTORS

PANELS = (
    ("train_accuracy", "training accuracy (%)", 100),
    ("test_accuracy", "validation accuracy (%)", 100),
    ("train_loss", "training loss", 1),
    ("test_loss", "validation loss", 1),
)
FAMILIES = {"vgg": "VGG-like", "resnet": "ResNet-like", "mobilenet": "MobileNet-like"}


def figure3(sources):
    """Return Fig. 3, or None without a run of its networks on acoustic scenes."""
    curves = {}
    for operation in OPERATIONS:
        runs = [record.history for record in sources.records_of("asc", f"compact_vgg_{operation}_c2")]
        if runs:
            curves[operation] = runs
    if not curves:
        return None
    figure = new_figure(9.0, 6.6)
    for letter, panel, (field, label, scale) in zip("abcd", figure.subplots(2, 2).flat, PANELS, strict=True):
        for operation, runs in curves.items():
            colour, _, line = OPERATIONS[operation]
            values = scale * np.array([[getattr(epoch, field) for epoch in run] for run in runs])
            epochs = [epoch.epoch for epoch in runs[0]]
            mean = values.mean(axis=0)
            panel.plot(epochs, mean, line, color=colour, label=f"{operation} (n={len(runs)})")
            if len(runs) > 1:
                spread = values.std(axis=0, ddof=1)
                panel.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
        panel.set(title=f"({letter})", xlabel="epoch", ylabel=label)
        panel.grid(alpha=0.3)
    figure.axes[0].legend()
    return figure


def figure7(sources):
    """Return Fig. 7, a row for each experiment with runs and a column for each family, or None without any."""
    shown = [one for one in sources.experiments if one.table and _has_compact(sources, one.name)]
    if not shown:
        return None
    figure = new_figure(10.5, 0.6 + 3.1 * len(shown))
    panels = figure.subplots(len(shown), len(FAMILIES), squeeze=False, sharex=True)
    for experiment, row in zip(shown, panels, strict=True):
        paper = {
            published.network_of(line["model"]): published.published_accuracy(line, experiment.data.paper_task)
            for line in published.read(sources.published, experiment.table)
        }
        for panel, (family, title) in zip(row, FAMILIES.items(), strict=True):
            for shift, operation in zip((-0.03, 0, 0.03), OPERATIONS, strict=True):
                names = {factor: f"compact_{family}_{operation}_c{factor}" for factor in FACTORS}
                ours = {factor: accuracy(sources.records_of(experiment.name, name)) for factor, name in names.items()}
                printed = {factor: paper.get(name) for factor, name in names.items()}
                _points(panel, operation, ours, shift, "-", OPERATIONS[operation][0])
                _points(panel, operation, printed, shift, ":", "white")
            panel.set(title=f"{title}, experiment {experiment.name}", ylabel="test accuracy (%)", xscale="log")
            panel.title.set_fontsize(9)
            panel.set_xticks(FACTORS, [str(factor) for factor in FACTORS])
            panel.xaxis.set_minor_formatter("")
            panel.tick_params(labelbottom=True)
            panel.grid(alpha=0.3)
    for panel in panels[-1]:
        panel.set_xlabel("compact factor C")
    handles = [
        Line2D([], [], color=colour, marker=marker, label=operation)
        for operation, (colour, marker, _) in OPERATIONS.items()
    ]
    handles.append(Line2D([], [], color="0.3", marker="o", label="ours, one standard deviation"))
    handles.append(Line2D([], [], color="0.3", marker="o", linestyle=":", markerfacecolor="white", label="paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _points(panel, operation, samples, shift, style, face):
    """Draw mean and standard deviation of each factor's `Sample` that is not None, shifted so that none overlap."""
    found = {factor: of for factor, of in samples.items() if of is not None}
    if found:
        colour, marker, _ = OPERATIONS[operation]
        panel.errorbar(
            [factor * (1 + shift) for factor in found],
            [of.mean for of in found.values()],
            yerr=[of.std or 0 for of in found.values()],
            fmt=style,
            color=colour,
            marker=marker,
            markerfacecolor=face,
            markersize=5,
            capsize=2,
            linewidth=1.2,
        )


def _has_compact(sources, experiment):
    return any(record.run.network.name.startswith("compact_") for record in sources.members[experiment])
