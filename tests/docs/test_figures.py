"""The drawing, and the figures in the prose, are those of the code and of the tables."""

import csv

import pytest

from scripts import draw_convolutions
from tests.docs.pages import ROOT


def rows(table):
    with (ROOT / "results" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_committed_drawing_is_the_generated_one():
    assert draw_convolutions.PATH.read_text() == draw_convolutions.draw()


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_the_status_is_that_of_the_tables(page):
    text = " ".join((ROOT / page).read_text().split())
    table = [*rows("table1"), *rows("table2")]
    exact = sum(row["params_difference"] == "0" for row in table)
    others = [row for row in table if abs(float(row["mflops_difference"])) > 0.05]
    assert f"exact in {exact} of {len(table)} rows" in text
    assert f"printed digit in {len(table) - len(others)} of {len(table)} rows" in text
    assert [row["network"] for row in others] == ["compact_mobilenet_sum_c4", "mobilenet_v2_100", "shufflenet_v1_200"]
    assert others[0]["mflops_counted"] in text
    assert others[0]["mflops_published"] in text


def test_the_speed_in_the_readme_is_that_of_table_1():
    (row,) = [row for row in rows("table1") if row["network"] == "compact_vgg_sum_c8"]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"C=8 runs {row['tensorflow_cpu_ratio']}x as fast" in text
    assert f"The paper reports {row['cpu_ratio_published']}x" in text
