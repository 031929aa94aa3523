"""Fig. 6: two feature maps of one group, and what the interchannel operations make of them."""

import numpy as np

from compactnet.report.figures.style import new_figure


def figure6(sources):
    """Return Fig. 6, or None where no feature maps are kept."""
    shown = sources.feature_maps
    if shown is None:
        return None
    facts, maps = shown.facts, shown.maps
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
        # Each with its own colours, as in the paper: average and sum look the same then.
        image = panel.imshow(
            values,
            origin="lower",
            aspect="auto",
            cmap="cividis",
            extent=(0, facts["seconds"], 0.5, facts["bands"] + 0.5),
            vmin=np.percentile(values, 1),
            vmax=np.percentile(values, 99),
            interpolation="nearest",
        )
        panel.set(title=title, xlabel="time (s)", ylabel="mel band")
        figure.colorbar(image, ax=panel)
    axes[-1].axis("off")
    generated = "generated data laid out as " if facts["generated_data"] else ""
    data = f"{facts['clips']} clips of {generated}{facts['data']}"
    words = (
        f"{facts['title']},\nfirst compact convolution, group {facts['group']}.\n"
        f"Trained for {facts['epochs']} epochs (seed {facts['seed']}) on\n{data}.\n"
        f"Protocol {facts['protocol_hash'][:12]}.\n"
        f"Recording {facts['sample']} of the test split,\nlabel {facts['label']}."
    )
    axes[-1].text(0, 0.95, words, va="top", fontsize=9, transform=axes[-1].transAxes)
    return figure
