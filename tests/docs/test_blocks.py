"""The Python and YAML blocks of README and docs/ work as they are printed."""

import contextlib
import io

import numpy as np
import pytest
import soundfile
import yaml

from compactnet.experiments.config import load_experiment
from tests.docs.pages import FENCE, PAGES, ROOT, blocks, page_name

# Their blocks compress and export networks.
SLOW = ("docs/choosing.md", "docs/compression.md", "docs/deploy.md")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page_name(page), marks=[pytest.mark.slow] * (page_name(page) in SLOW))
        for page in sorted({block.page for block in blocks("python")})
    ],
)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """All blocks of a page share their names, as for a reader who follows it."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("recording.wav", np.random.default_rng(0).normal(0, 0.1, 441_000), 44_100)
    names = {"__name__": "page"}
    with contextlib.redirect_stdout(io.StringIO()):
        for block in blocks("python"):
            if block.page == page:
                exec(compile(block.text, page_name(page), "exec"), names)


def test_the_readme_has_one_python_block_of_six_lines():
    (block,) = [block for block in blocks("python") if page_name(block.page) == "README.md"]
    assert len([line for line in block.text.splitlines() if line]) == 6


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: page_name(block.page))
def test_yaml_blocks_are_configs(block, tmp_path):
    """A block that is a part of a config replaces that part in a shipped one."""
    content = yaml.safe_load((ROOT / "configs" / "ic.yaml").read_text()) | yaml.safe_load(block.text)
    if "table" not in yaml.safe_load(block.text):
        del content["table"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load_experiment(path).runs()


def test_every_block_has_a_language_that_a_test_covers():
    for page in PAGES:
        for match in FENCE.finditer(page.read_text()):
            assert match[1] in ("python", "yaml", "sh", "text"), f"{page_name(page)}: {match[0]}"
