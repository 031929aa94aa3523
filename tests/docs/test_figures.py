"""The drawing is that of the code, and the rows that the prose explains are those of the tables."""

import csv
import json
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


def test_what_the_page_says_of_branches_on_large_inputs_is_in_the_records():
    fastest = {}
    for path in (ROOT / "results" / "records" / "speed").glob("inference-128x512x1-*-deployed-*.json"):
        record = json.loads(path.read_text())
        for row in record["networks"]:
            milliseconds = row.get("milliseconds_by_form")
            if milliseconds and row["network"].endswith("_c2"):
                forms = fastest.setdefault(record["work"].get("precision", "float32"), [])
                forms.append(min(milliseconds, key=milliseconds.get))
    counts = {precision: f"{forms.count('branches')} of {len(forms)}" for precision, forms in fastest.items()}
    page = " ".join((ROOT / "docs" / "deploy.md").read_text().split())
    expected = "`branches` is the fastest in {float32} measurements in float32 and in {int8} in `int8`"
    assert expected.format(**counts) in page
