"""Fixtures of the tests of compression."""

import pytest

from compactnet.compression import replacing
from compactnet.compression.report import Times


@pytest.fixture
def untimed(monkeypatch):
    """Compression without timing, for tests of something else."""
    monkeypatch.setattr(replacing, "timed", lambda *models: Times(None, None, "", "", "the test does not time"))
