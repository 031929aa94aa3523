"""Fixtures that several folders of tests share."""

import os
from pathlib import Path

import keras
import pytest
from hypothesis import HealthCheck, settings

from compactnet.data.synthetic import generate_cifar10

ROOT = Path(__file__).resolve().parent.parent

# A busy machine may be slow at any moment; no test may fail for that.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


def pytest_runtest_setup():
    """Seed the initial weights of every test and of the fixtures it is the first to use."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def repository():
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets, or a skip that says why."""
    folder = os.environ.get("COMPACTNET_DATA")
    if not folder:
        pytest.skip("COMPACTNET_DATA names no folder with real data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def generated_images(tmp_path_factory):
    """A data folder with 200 generated images in CIFAR-10's layout; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("generated")
    generate_cifar10(folder, train_samples=160, test_samples=40)
    return folder
