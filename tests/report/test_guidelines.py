"""Verdicts on made-up runs whose answer is known."""

import pytest

from compactnet.experiments.config import load_experiment
from compactnet.measure.counts import CountCache
from compactnet.report.sources import read_sources
from compactnet.report.tables.guidelines import guidelines
from compactnet.schema import Epoch
from tests.report.factories import planned_run, trained_record, write


@pytest.fixture(scope="module")
def asc(repository):
    return load_experiment(repository / "configs" / "asc.yaml", ["training.epochs=10"])


@pytest.fixture
def judge(tmp_path, repository):
    """Return the rows of the guidelines for an experiment with the runs in `tmp_path`."""

    def judge_it(experiment):
        counts = CountCache(repository / "results" / "complexity.csv")
        return guidelines(read_sources(tmp_path, [experiment], repository / "results" / "paper", counts)).rows

    return judge_it


@pytest.fixture
def verdicts(tmp_path, asc, judge):
    """Write runs on scenes whose accuracy is a function of operation and factor; return {guideline: row}."""

    def found(accuracy, seeds=3, spread=0.002, early=lambda operation: 0.5, families=("vgg", "resnet", "mobilenet")):
        for family in families:
            for operation in ("average", "sum", "max"):
                for factor in (2, 4, 8):
                    for seed in range(seeds):
                        last = accuracy(operation, factor) + spread * (seed - (seeds - 1) / 2)
                        train = early(operation) + spread * seed
                        fields = {"train_accuracy": train, "test_accuracy": last, "train_loss": 1, "test_loss": 1}
                        history = [Epoch(epoch=epoch, seconds=1, **fields) for epoch in range(1, 11)]
                        network = f"compact_{family}_{operation}_c{factor}"
                        record = trained_record(planned_run(asc, network, seed), history)
                        write(tmp_path / "records" / f"{network}-{seed}.json", record)
        return {row["guideline"]: row for row in judge(asc)}

    return found


def test_a_guideline_is_supported_where_it_is_true(verdicts):
    found = verdicts(
        lambda operation, factor: 0.7 - (0.01 * factor if operation == "max" else 0),
        early=lambda operation: 0.4 if operation == "max" else 0.5,
    )
    assert [row["verdict"] for row in found.values()] == ["supported"] * 4
    assert found["G1"]["comparisons"] == "9 of 9"
    assert found["G1"]["runs"] == 9 * 2 * 3
    assert found["G1"]["difference"] == pytest.approx(0, abs=1e-9)
    # At C=8 max is 8 points behind, at C=2 two.
    assert found["G2"]["difference"] == pytest.approx(-6)
    assert found["G3, large C"]["difference"] == pytest.approx(8)
    # Three runs apart by 0.2 points have that standard deviation.
    assert found["G3, large C"]["effect_size"] == pytest.approx(8 / 0.2)
    assert found["G3, convergence"]["difference"] == pytest.approx(10)


def test_a_guideline_is_not_supported_where_it_is_false(verdicts):
    found = verdicts(lambda operation, factor: {"average": 0.72, "sum": 0.70, "max": 0.75}[operation])
    assert [row["verdict"] for row in found.values()] == ["not supported"] * 4
    assert found["G1"]["low"] > 1


def test_equivalence_needs_more_than_a_difference_that_is_not_significant(verdicts):
    row = verdicts(lambda operation, factor: 0.7, seeds=2, spread=0.2, families=("vgg",))["G1"]
    assert row["low"] < 0 < row["high"]
    assert row["verdict"] == "not supported"
    assert row["comparisons"] == "3 of 9"


def test_one_run_each_is_not_enough(verdicts):
    found = verdicts(lambda operation, factor: 0.7, seeds=1).values()
    assert [row["verdict"] for row in found] == ["not enough runs"] * 4
    assert not any("difference" in row for row in found)
    assert {row["comparisons"] for row in found} == {"0 of 9", "0 of 3"}


def test_an_experiment_without_average_says_nothing_about_it(repository, judge):
    found = judge(load_experiment(repository / "configs" / "ic.yaml"))
    assert [row["guideline"] for row in found] == ["G2", "G3, convergence", "G3, large C"]
