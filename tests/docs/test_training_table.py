"""The tables of training speed, memory and exported files in docs/ are those of the committed rows."""

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
