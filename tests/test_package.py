"""The package itself: what it offers before Keras is imported."""

import subprocess
import sys

import pytest

import compactnet


def test_names_are_listed_and_found_without_importing_them_first():
    program = """
import sys
import compactnet
assert {"compress", "layers", "networks", "measure", "deploy", "schema", "__version__"} <= set(dir(compactnet))
assert compactnet.errors.InputError
assert "keras" not in sys.modules
assert compactnet.layers.CompactConv2D
assert compactnet.compress
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'compactnet' has no attribute 'layer'"):
        compactnet.layer  # noqa: B018
