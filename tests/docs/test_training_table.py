"""The tables of training speed and memory in docs/ are those of the committed rows."""

import subprocess
import sys

import pytest

from tests.docs.pages import ROOT


@pytest.mark.parametrize(("script", "networks"), [("training", 15), ("memory", 3)])
def test_the_table_is_made_from_the_rows(script, networks):
    command = [sys.executable, f"benchmarks/{script}.py", "--table"]
    table = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert table.count("\n") == 2 + networks
    assert table in (ROOT / "docs" / "training.md").read_text()
