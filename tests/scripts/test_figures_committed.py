"""The committed figures come from the committed records."""

import base64
import hashlib
import io
import re

import matplotlib
import pytest
from matplotlib.image import imread

from compactnet.report.figures import FIGURES, write_figures
from compactnet.report.sources import repository_sources

MATPLOTLIB = "3.11.2"
"""Version that drew the committed figures, which do not name it; another one may place a line elsewhere."""


def drawing(path):
    """Return the text of an SVG file, with the pixels of its images instead of their files, which Pillow compresses."""

    def pixels(match):
        image = imread(io.BytesIO(base64.b64decode(match[1])), format="png")
        return hashlib.sha256(image.tobytes()).hexdigest()

    return re.sub(r"data:image/png;base64,([\w+/=\s]+)", pixels, path.read_text())


def test_the_committed_figures_are_those_of_the_committed_records(tmp_path, repository):
    if matplotlib.__version__ != MATPLOTLIB:
        pytest.skip(f"Matplotlib {MATPLOTLIB} drew the committed figures, this is {matplotlib.__version__}")
    results = repository / "results"
    written = write_figures(tmp_path, repository_sources(repository, results))
    assert written == [name for name in FIGURES if (results / f"{name}.svg").exists()], "run `make figures`"
    for name in written:
        # No comparison that pytest would explain: that takes minutes for files of this size.
        same = drawing(tmp_path / f"{name}.svg") == drawing(results / f"{name}.svg")
        assert same, f"{name}: run `make figures`"
        assert (results / f"{name}.png").exists()
