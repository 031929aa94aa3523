"""The tables of training speed, memory and exported files in docs/ are those of the committed rows."""

import json
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT


@pytest.mark.parametrize(
    ("script", "page", "rows"),
    [
        ("training", "training.md", 15),
        ("memory", "training.md", 3),
        ("deployment", "deploy.md", None),
        ("formats", "deploy.md", 48),
        ("compression", "compression.md", 2),
    ],
)
def test_the_table_is_made_from_the_rows(script, page, rows):
    command = [sys.executable, f"benchmarks/{script}.py", "--table"]
    table = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert table.count("\n") == 2 + rows if rows else table.count("| `compact_vgg_sum_c8` |") == 11
    assert table in (ROOT / "docs" / page).read_text()


def test_what_the_page_says_of_epochs_and_steps_is_in_the_rows():
    rows = [json.loads(line) for line in (ROOT / "benchmarks" / "training.jsonl").read_text().splitlines()]
    by_way = {}
    for row in rows:
        by_way.setdefault(row["way"], {})[row["network"]] = row
    keras = by_way["tensorflow keras"]
    ratios = []
    for name, row in keras.items():
        fast = min((by_way[way][name] for way in ("tensorflow fast", "jax fast")), key=lambda row: row["epoch_ms"])
        ratios.append(row["step_ms"] / fast["step_ms"])
    batches = [row["batches"] for row in keras.values()]
    page = " ".join((ROOT / "docs" / "training.md").read_text().split())
    assert f"Keras' epochs have {min(batches)} to {max(batches)} batches here" in page
    assert f"the fast ways are {min(ratios):.1f} to {max(ratios):.1f} times as fast" in page


def test_what_the_page_says_of_recomputation_is_in_the_rows():
    rows = [json.loads(line) for line in (ROOT / "benchmarks" / "memory.jsonl").read_text().splitlines()]
    gigabytes = {(row["network"], row["way"]): row["gigabytes"] for row in rows if row["backend"] == "tensorflow"}
    networks = sorted({network for network, _ in gigabytes})

    def saved(way):
        return [gigabytes[network, way] - gigabytes[network, f"{way}, recompute"] for network in networks]

    page = " ".join((ROOT / "docs" / "training.md").read_text().split())
    assert f"recomputation saves {min(saved('fast')):.1f} to {max(saved('fast')):.1f} GB here" in page
    assert [saving > 0 for saving in saved("keras")].count(True) == 1
    assert "With Keras' own layers it saves memory in one network of three" in page
