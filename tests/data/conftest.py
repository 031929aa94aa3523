import pytest

from compactnet.data import feature_store


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Feature stores start one process unless a test asks for more; to start one takes longer than its clips here."""
    monkeypatch.setattr(feature_store, "available_cores", lambda: [0])
