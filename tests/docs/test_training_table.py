"""The table of training speed in docs/ is that of the committed rows."""

import subprocess
import sys

from tests.docs.pages import ROOT


def test_the_table_is_made_from_the_rows():
    command = [sys.executable, "benchmarks/training.py", "--table"]
    table = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert table.count("\n") == 2 + 15
    assert table in (ROOT / "docs" / "training.md").read_text()
