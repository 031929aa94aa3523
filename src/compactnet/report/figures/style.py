"""What all figures share: colours, markers, and reproducible files."""

from types import MappingProxyType

import matplotlib
from matplotlib.figure import Figure

from compactnet.files import atomic_write

# Okabe and Ito's colours, for people with any colour vision; the markers differ as well.
NETWORKS = MappingProxyType(
    {
        "CompactNet (C=2, 4, 8)": ("#D55E00", "o", "compact_mobilenet_"),
        "MobileNet v1 (1.0, 0.5, 0.25)": ("#0072B2", "s", "mobilenet_v1_"),
        "MobileNet v2 (1.0, 0.5, 0.25)": ("#009E73", "^", "mobilenet_v2_"),
        "ShuffleNet v1 (2x, 1x, 0.5x)": ("#CC79A7", "D", "shufflenet_v1_"),
        "ShuffleNet v2 (2x, 1x, 0.5x)": ("#E69F00", "v", "shufflenet_v2_"),
    }
)
"""Colour, marker and prefix of the catalogue names of each line of networks in Figs. 4 and 5."""

OPERATIONS = MappingProxyType(
    {"average": ("#009E73", "^", "-."), "max": ("#D55E00", "s", "--"), "sum": ("#0072B2", "o", "-")}
)
"""Colour, marker and line style of each interchannel operation in Figs. 3 and 7."""

ENDINGS = MappingProxyType({"png": {"Software": None}, "svg": {"Date": None, "Creator": None}})
"""{ending: metadata}: neither dates nor versions, so that the same records give the same bytes."""


def new_figure(width, height):
    """Return an empty figure of a size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure, path):
    """Write a figure as PNG and SVG, each in one step."""
    with matplotlib.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "path"}):
        for ending, metadata in ENDINGS.items():
            with atomic_write(path.with_suffix(f".{ending}")) as partial:
                figure.savefig(partial, format=ending, dpi=150, metadata=metadata)
