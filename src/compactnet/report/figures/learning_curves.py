"""Test accuracy by epoch in the experiments with contrasts: whether a short training has settled what it compares."""

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from compactnet.report.figures.style import new_figure

LINES = ("-", "--", "-.", ":")


def figure_learning_curves(sources):
    """Return the figure, a panel for each experiment on real data with contrasts and runs, or None without any."""
    shown = [one for one in sources.real if one.contrasts and sources.members[one.name]]
    if not shown:
        return None
    figure = new_figure(9.6, 4.0 * len(shown))
    for experiment, panel in zip(shown, figure.subplots(len(shown), 1, squeeze=False)[:, 0], strict=True):
        for number, network in enumerate(experiment.networks):
            runs = [record.history for record in sources.records_of(experiment.name, network.name)]
            if runs:
                _curve(panel, number, f"{network.title} (n={len(runs)})", runs)
        panel.set(xlabel="epoch", ylabel="test accuracy (%)")
        panel.set_title(experiment.name, fontsize=9)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _curve(panel, number, label, runs):
    """Draw the mean of some runs and, of two or more, the range between the lowest and the highest."""
    colour, line = colormaps["tab10"](number % 10), LINES[number % len(LINES)]
    values = 100 * np.array([[epoch.test_accuracy for epoch in run] for run in runs])
    epochs = [epoch.epoch for epoch in runs[0]]
    panel.plot(epochs, values.mean(axis=0), line, color=colour, label=label, linewidth=1.4)
    if len(runs) > 1:
        panel.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
