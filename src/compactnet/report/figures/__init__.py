"""The paper's figures from records, as PNG and SVG of the same bytes each time."""

from pathlib import Path
from types import MappingProxyType

from compactnet.files import remove
from compactnet.report.figures.accuracy import figure3, figure7
from compactnet.report.figures.feature_maps import figure6
from compactnet.report.figures.speed import figure4, figure5
from compactnet.report.figures.style import ENDINGS, save

FIGURES = MappingProxyType(
    {"figure3": figure3, "figure4": figure4, "figure5": figure5, "figure6": figure6, "figure7": figure7}
)
"""What draws each figure: a function of the `Sources` that returns a figure, or None where there is nothing to show."""

CAPTIONS = MappingProxyType(
    {
        "figure3": "Fig. 3: training and validation accuracy and loss of the three interchannel operations "
        "(VGG-like, C=2, acoustic scenes): mean over the runs, and one standard deviation to either side.",
        "figure4": "Fig. 4: complexity against speed, a panel for each runtime and device that was timed; the paper's "
        "points are hollow.",
        "figure5": "Fig. 5: accuracy on acoustic scenes against speed; the paper's points are hollow.",
        "figure6": "Fig. 6: two feature maps of one group and what the average, the maximum and the sum make of them.",
        "figure7": "Fig. 7: accuracy against the compact factor C for the three operations; the paper's points, where "
        "it prints them, are hollow.",
    }
)


def write_figures(folder, sources):
    """Write every figure that there are records for, and remove those there are none for.

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
