"""What the experiments cost."""

import math

import pytest

from compactnet.experiments.config import load_experiment
from compactnet.networks import build
from compactnet.networks.complexity import complexity
from compactnet.report.sources import repository_sources
from compactnet.report.tables.budget import RATE, budget, command
from compactnet.report.tables.claims import CLAIMS, claims


@pytest.fixture(scope="module")
def rows(repository):
    sources = repository_sources(repository, repository / "results")
    return {row["experiment"]: row for row in budget(sources).rows}


def test_commands_name_configs_that_exist(rows, repository):
    assert command("asc", "asc") == "make reproduce-asc"
    for name, row in rows.items():
        _, given, path = row["command"].partition(" CONFIG=")
        if given:
            assert load_experiment(repository / path).name == name


def test_another_folder_has_no_budget_and_no_claims_without_runs(tmp_path, repository):
    sources = repository_sources(repository, tmp_path)
    assert budget(sources).rows == claims(sources).rows == []
    assert len(claims(repository_sources(repository, repository / "results")).rows) == len(CLAIMS)


def test_hours_are_those_of_the_arithmetic_or_of_the_steps(rows, repository):
    experiment = load_experiment(repository / "configs" / "evidence" / "size-32-vgg8.yaml")
    (network,) = experiment.networks
    flops = complexity(build(network, (32, 32, 3))).flops
    row = rows[experiment.name]
    of_run = 10 * flops * (3 * 50_000 + 10_000)
    assert row["petaflops"] == pytest.approx(2 * of_run / 1e15)
    assert row["thousand_steps"] == 2 * 10 * math.ceil(50_000 / 32) / 1e3
    assert row["hours"] == pytest.approx(2 * max(of_run / RATE, 10 * 1563 * 0.008) / 3600)
    # Large spectrograms are bound by arithmetic.
    assert rows["asc"]["hours"] > rows["asc"]["petaflops"] * 1e15 / RATE / 3600
    assert rows["asc"]["hours"] == pytest.approx(rows["asc"]["petaflops"] * 1e15 / RATE / 3600, rel=0.1)


def test_only_samples_that_are_known_are_counted(rows):
    assert rows["evidence-events"]["thousand_steps"] == 27 * 20 * math.ceil((873 + 888) / 32) / 1e3
    scenes = rows["evidence-scenes"]
    # Its data are a part of another data set; its records say how many clips they had.
    assert ("hours" in scenes) == bool(scenes["done"])
