"""The paper's figures, and ours, from records, as reproducible PNG and SVG files."""

from pathlib import Path
from types import MappingProxyType

from compactnet.files import remove
from compactnet.report.figures.accuracy import figure3, figure7
from compactnet.report.figures.contrasts import figure_contrasts
from compactnet.report.figures.feature_maps import figure6
from compactnet.report.figures.learning_curves import figure_learning_curves
from compactnet.report.figures.rivals import figure_rivals
from compactnet.report.figures.speed import figure4, figure5
from compactnet.report.figures.style import ENDINGS, save

FIGURES = MappingProxyType(
    {
        "figure3": figure3,
        "figure4": figure4,
        "figure5": figure5,
        "figure6": figure6,
        "figure7": figure7,
        "contrasts": figure_contrasts,
        "learning_curves": figure_learning_curves,
        "rivals": figure_rivals,
    }
)
"""{name: function of the `Sources` that returns a figure, or None if it has nothing to show}"""

CAPTIONS = MappingProxyType(
    {
        "figure3": "Fig. 3: training and validation accuracy and loss of the three interchannel operations "
        "(VGG-like, C=2, acoustic scenes), as mean and standard deviation over the runs.",
        "figure4": "Fig. 4: complexity against speed, with a panel for each runtime and device that was timed. "
        "Hollow points are the paper's.",
        "figure5": "Fig. 5: accuracy on acoustic scenes against speed. Hollow points are the paper's.",
        "figure6": "Fig. 6: two feature maps of one group, and their average, maximum and sum. All panels come from "
        "the one network that the figure names, so the average is half the sum by construction.",
        "figure7": "Fig. 7: accuracy against the compact factor C for the three operations. Hollow points are the "
        "paper's.",
        "contrasts": "The comparisons that experiments were made for: differences of mean test accuracy with their "
        "95 % intervals. A claim says that its difference is above 0; its verdict is adjusted for the number of "
        "contrasts, the interval is not. Hollow points are the paper's.",
        "learning_curves": "Test accuracy by epoch in the experiments with contrasts, as mean and range of the runs.",
        "rivals": "Kinds of convolution at equal FLOPs: accuracy, as mean and standard deviation over the runs, "
        "against the time of one sample on one thread. Orange: the paper's; blue: controls and plain convolutions; "
        "grey: other papers'. The dashed line joins the networks that no other beats in both.",
    }
)


def write_figures(folder, sources):
    """Write every figure that has records, and remove the others.

    Args:
        folder: Where `figure3.png`, `figure3.svg` and so on go.
        sources: The `Sources` of the tables.

    Returns:
        Names of the figures written, without their ending.
    """
    folder, written = Path(folder), []
    for name, draw in FIGURES.items():
        figure = draw(sources)
        if figure is not None:
            save(figure, folder / name)
            written.append(name)
        else:
            for ending in ENDINGS:
                remove(folder / f"{name}.{ending}")
    return written
