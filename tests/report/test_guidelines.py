"""Verdicts on made-up runs whose answer is known."""

import pytest

from compactnet.experiments.config import load_config
from compactnet.report.counts import Counts
from compactnet.report.guidelines import guidelines
from compactnet.report.tables import read_sources
from tests.report.made_up import record, write


@pytest.fixture(scope="module")
def asc(repository):
    return load_config(repository / "configs" / "asc.yaml", ["training.epochs=10"]), load_config(
        repository / "configs" / "ic.yaml"
    )


@pytest.fixture
def verdicts(tmp_path, repository, asc):
    """Write runs of acoustic scenes whose accuracy is a function of operation and factor; return the rows."""
    config, _ = asc

    def judge(accuracy, seeds=3, spread=0.002, early=lambda operation: 0.5, families=("vgg", "resnet", "mobilenet")):
        for family in families:
            for operation in ("average", "sum", "max"):
                for factor in (2, 4, 8):
                    for seed in range(seeds):
                        last = accuracy(operation, factor) + spread * (seed - (seeds - 1) / 2)
                        made = record(
                            config,
                            f"compact_{family}_{operation}_c{factor}",
                            seed,
                            content=config.data.official_fingerprint + "made up",
                        )
                        epochs = [
                            {"epoch": epoch, "train_accuracy": early(operation) + spread * seed, "test_accuracy": last}
                            for epoch in range(1, 11)
                        ]
                        made |= {"history": epochs, "last": epochs[-1], "best": epochs[0]}
                        write(tmp_path / "records" / f"{family}-{operation}-{factor}-{seed}.json", made)
        counts = Counts(repository / "results" / "complexity.csv")
        sources = read_sources(tmp_path, [config], repository / "results" / "paper", counts)
        return guidelines(sources).set_index("guideline")

    return judge


def test_what_the_paper_says_is_supported_where_it_holds(verdicts):
    found = verdicts(
        lambda operation, factor: 0.7 - (0.01 * factor if operation == "max" else 0),
        early=lambda operation: 0.4 if operation == "max" else 0.5,
    )
    assert list(found["verdict"]) == ["supported"] * 4
    assert found.loc["G1", "comparisons"] == "9 of 9"
    assert found.loc["G1", "runs"] == 9 * 2 * 3
    assert found.loc["G1", "difference"] == pytest.approx(0, abs=1e-9)
    # At C=8 max is 8 points behind, at C=2 two.
    assert found.loc["G2", "difference"] == pytest.approx(-6)
    assert found.loc["G3, large C", "difference"] == pytest.approx(8)
    # Three runs apart by 0.2 points have that standard deviation.
    assert found.loc["G3, large C", "effect_size"] == pytest.approx(8 / 0.2)
    assert found.loc["G3, convergence", "difference"] == pytest.approx(10)


def test_what_does_not_hold_is_not_supported(verdicts):
    found = verdicts(lambda operation, factor: {"average": 0.72, "sum": 0.70, "max": 0.75}[operation])
    assert list(found["verdict"]) == ["not supported"] * 4
    assert found.loc["G1", "low"] > 1


def test_equivalence_takes_more_than_a_difference_that_cannot_be_told(verdicts):
    found = verdicts(lambda operation, factor: 0.7, seeds=2, spread=0.2, families=("vgg",))
    row = found.loc["G1"]
    assert row["low"] < 0 < row["high"]
    assert row["verdict"] == "not supported"
    assert row["comparisons"] == "3 of 9"


def test_one_run_each_is_not_enough(verdicts):
    found = verdicts(lambda operation, factor: 0.7, seeds=1)
    assert list(found["verdict"]) == ["not enough runs"] * 4
    assert found["difference"].isna().all()
    assert set(found["comparisons"]) == {"0 of 9", "0 of 3"}


def test_a_study_that_plans_no_average_says_nothing_of_it(tmp_path, repository, asc):
    _, images = asc
    counts = Counts(repository / "results" / "complexity.csv")
    found = guidelines(read_sources(tmp_path, [images], repository / "results" / "paper", counts))
    assert list(found["guideline"]) == ["G2", "G3, convergence", "G3, large C"]
