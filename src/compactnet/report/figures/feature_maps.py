"""Fig. 6: two feature maps of one group, and their average, maximum and sum."""

import numpy as np

from compactnet.report.figures.style import new_figure


def figure6(sources):
    """Return Fig. 6, or None without feature maps."""
    shown = sources.feature_maps
    if shown is None:
        return None
    maps = shown.maps
    panels = {
        "(a) first feature map": maps[0],
        "(b) second feature map": maps[1],
        "(c) average": maps.mean(axis=0),
        "(d) max": maps.max(axis=0),
        "(e) sum": maps.sum(axis=0),
    }
    figure = new_figure(11.0, 5.6)
    axes = figure.subplots(2, 3).flat
    for panel, (title, values) in zip(axes, panels.items(), strict=False):
        # Each panel has its own colour scale, as in the paper.
        image = panel.imshow(
            values,
            origin="lower",
            aspect="auto",
            cmap="cividis",
            extent=(0, shown.seconds, 0.5, shown.bands + 0.5),
            vmin=np.percentile(values, 1),
            vmax=np.percentile(values, 99),
            interpolation="nearest",
        )
        panel.set(title=title, xlabel="time (s)", ylabel="mel band")
        figure.colorbar(image, ax=panel)
    axes[-1].axis("off")
    generated = "generated data with the layout of " if shown.generated_data else ""
    text = (
        f"{shown.title},\nfirst compact convolution, group {shown.group}.\n"
        f"Trained for {shown.epochs} epochs (seed {shown.seed}) on\n{shown.clips} clips of {generated}{shown.data}.\n"
        f"Protocol {shown.protocol_hash[:12]}.\n"
        f"Recording {shown.sample} of the test split,\nlabel {shown.label}.\n\n"
        "All panels come from this network;\nthe average is half the sum\nby construction."
    )
    axes[-1].text(0, 0.95, text, va="top", fontsize=9, transform=axes[-1].transAxes)
    return figure
