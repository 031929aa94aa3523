"""The drawing is that of the code, and the rows that the prose explains are those of the tables."""

import csv
import subprocess
import sys

import pytest

from scripts import draw_convolutions
from tests.docs.pages import ROOT


def rows(table):
    with (ROOT / "results" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_committed_drawing_is_the_generated_one():
    assert draw_convolutions.PATH.read_text() == draw_convolutions.draw()


def test_the_drawing_goes_where_it_is_asked_for(tmp_path):
    def draw(path):
        command = [sys.executable, draw_convolutions.__file__, "--output", path]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    path = tmp_path / "new" / "a.svg"
    assert (draw(path).returncode, path.read_text()) == (0, draw_convolutions.draw())
    ended = draw(path / "b.svg")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith(f"error: Cannot write {path / 'b.svg'}")


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_a_row_that_differs_in_flops_is_told_by_both_values(page):
    text = " ".join((ROOT / page).read_text().split())
    others = [row for row in [*rows("table1"), *rows("table2")] if abs(float(row["mflops_difference"])) > 0.05]
    assert [row["network"] for row in others] == ["compact_mobilenet_sum_c4", "mobilenet_v2_100", "shufflenet_v1_200"]
    assert others[0]["mflops_counted"] in text
    assert others[0]["mflops_published"] in text
