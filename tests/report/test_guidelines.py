"""Verdicts on made-up runs whose answer is known."""

import pytest

from compactnet.experiments.config import load_experiment
from compactnet.measure.counts import CountCache
from compactnet.report.sources import read_sources
from compactnet.report.tables.guidelines import FAMILIES, guidelines
from compactnet.schema import Epoch
from tests.report.factories import planned_run, run_record, trained_record, write


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
    """Write runs on scenes whose accuracy is a function of operation and factor; return {(guideline, family): row}."""

    def found(accuracy, seeds=5, spread=0.002, early=lambda operation: 0.5, families=FAMILIES):
        for family in families:
            for operation in ("average", "sum", "max"):
                for factor in (2, 4, 8):
                    for seed in range(seeds):
                        # Seeds that are good for the average are bad for the sum, so that pairs have a spread.
                        place = seeds - 1 - seed if operation == "average" else seed
                        last = accuracy(operation, factor) + spread * (place - (seeds - 1) / 2)
                        train = early(operation) + spread * seed
                        fields = {"train_accuracy": train, "test_accuracy": last, "train_loss": 1, "test_loss": 1}
                        history = [Epoch(epoch=epoch, seconds=1, **fields) for epoch in range(1, 11)]
                        network = f"compact_{family}_{operation}_c{factor}"
                        record = trained_record(planned_run(asc, network, seed), history)
                        write(tmp_path / "records" / f"{network}-{seed}.json", record)
        return {(row["guideline"], row["family"]): row for row in judge(asc) if row["evidence"] == "asc"}

    return found


def of_all(found):
    return [row for (_, family), row in found.items() if family == "all"]


def test_a_guideline_is_supported_where_it_is_true(verdicts):
    found = verdicts(
        lambda operation, factor: 0.7 - (0.01 * (factor - 2) if operation == "max" else 0),
        early=lambda operation: 0.4 if operation == "max" else 0.5,
    )
    assert len(found) == 5 * 4
    assert {row["verdict"] for row in found.values()} == {"supported"}
    g1 = found["G1", "all"]
    assert g1["comparisons"] == "9 of 9"
    assert g1["runs"] == 9 * 2 * 5
    assert g1["difference"] == pytest.approx(0, abs=1e-9)
    assert found["G2, large C", "vgg"]["runs"] == 4 * 5
    # At C=8 max is 6 points behind, at C=2 none.
    assert found["G2, large C", "all"]["difference"] == pytest.approx(-6)
    assert found["G3, large C", "all"]["difference"] == pytest.approx(6)
    # Five runs 0.2 points apart each have a standard deviation of 0.316.
    assert found["G3, large C", "all"]["effect_size"] == pytest.approx(6 / 0.3162, rel=1e-3)
    assert found["G3, convergence", "all"]["difference"] == pytest.approx(10)


def test_runs_of_two_backends_are_no_pairs(tmp_path, asc, judge):
    def train(operation, backend):
        for seed in range(3):
            run = planned_run(asc, f"compact_vgg_{operation}_c2", seed)
            run = run.model_copy(update={"execution": run.execution.model_copy(update={"backend": backend})})
            last = 0.5 + (seed if operation == "sum" else seed**2) / 100
            fields = {"train_accuracy": 0.5, "test_accuracy": last, "train_loss": 1, "test_loss": 1}
            record = trained_record(run, [Epoch(epoch=epoch, seconds=1, **fields) for epoch in range(1, 11)])
            write(tmp_path / "records" / f"{operation}-{seed}.json", record)
        rows = [row for row in judge(asc) if (row["evidence"], row["guideline"]) == ("asc", "G1")]
        return [row["runs"] for row in rows if "runs" in row]

    assert train("sum", "tensorflow") == []
    assert train("average", "jax") == []
    assert 2 * 3 in train("average", "tensorflow")


def test_a_guideline_is_contradicted_where_it_is_false(verdicts):
    found = of_all(
        verdicts(
            lambda operation, factor: {"average": 0.75, "sum": 0.70 if factor > 2 else 0.80, "max": 0.75}[operation],
            early=lambda operation: 0.6 if operation == "max" else 0.5,
        )
    )
    assert {row["guideline"]: row["verdict"] for row in found} == {
        "G1": "contradicted",
        "G2, small C": "contradicted",
        "G2, large C": "contradicted",
        "G3, convergence": "contradicted",
        "G3, large C": "contradicted",
    }


def test_all_families_must_support_a_guideline(tmp_path, asc, verdicts, judge):
    verdicts(lambda operation, factor: 0.7 - 0.05 * (operation == "max"), families=("vgg", "resnet"))
    rows = {row["family"]: row for row in judge(asc) if (row["guideline"], row["evidence"]) == ("G3, large C", "asc")}
    assert {family: row["verdict"] for family, row in rows.items()} == {
        "vgg": "supported",
        "resnet": "supported",
        "mobilenet": "not enough runs",
        "all": "provisional: undecided",
    }


def test_equivalence_needs_more_than_a_difference_that_is_not_significant(verdicts):
    rows = verdicts(lambda operation, factor: 0.7, seeds=2, spread=0.2, families=("vgg",))
    assert rows["G1", "vgg"]["verdict"] == "provisional: undecided"
    assert rows["G1", "vgg"]["comparisons"] == "3 of 3"
    assert rows["G1", "vgg"]["detectable"] is None
    assert rows["G3, large C", "vgg"]["verdict"] == "provisional: undecided"
    assert rows["G3, large C", "vgg"]["detectable"] > 50


def test_one_run_each_is_not_enough(verdicts):
    found = verdicts(lambda operation, factor: 0.7, seeds=1)
    assert {family for _, family in found} == {"all"}
    assert [row["verdict"] for row in found.values()] == ["not enough runs"] * 5
    assert not any("difference" in row for row in found.values())
    assert {row["comparisons"] for row in found.values()} == {"0 of 9", "0 of 3"}


def test_equal_runs_allow_no_test(verdicts):
    found = verdicts(lambda operation, factor: 0.7, spread=0.0)
    assert {row["verdict"] for row in found.values()} == {"no test"}


def test_an_experiment_without_average_says_nothing_about_it(repository, judge):
    found = judge(load_experiment(repository / "configs" / "ic.yaml"))
    ours = [row["guideline"] for row in found if row["evidence"] == "ic"]
    assert ours == ["G2, small C", "G2, large C", "G3, convergence", "G3, large C"]


def test_the_papers_own_accuracies(asc, judge):
    rows = {
        (row["guideline"], row["evidence"], row["family"]): row
        for row in judge(asc)
        if row["evidence"].startswith("paper")
    }
    # From Tables III and IV by hand: the average over families alone would support G1.
    g1 = {family: rows["G1", "paper, asc", family] for family in (*FAMILIES, "all")}
    assert [row["verdict"] for row in g1.values()] == ["undecided", "supported", "undecided", "undecided"]
    assert -1 < g1["all"]["low"] < g1["all"]["high"] < 1
    small = rows["G2, small C", "paper, ic", "all"]
    assert (small["difference"], small["low"], small["high"]) == pytest.approx((-1.073, -1.67, -0.48), abs=0.01)
    assert small["verdict"] == "contradicted"
    assert rows["G3, large C", "paper, ic", "all"]["verdict"] == "supported"
    assert not any(guideline == "G3, convergence" for guideline, *_ in rows)


def test_the_last_epoch_and_the_first_tenth_count(tmp_path, asc, judge):
    for operation, accuracy in (("sum", 0.7), ("max", 0.6)):
        for seed in range(5):
            history = [
                Epoch(
                    epoch=epoch,
                    seconds=1,
                    train_loss=1,
                    test_loss=1,
                    train_accuracy=(accuracy if epoch == 1 else 0.9) + 0.001 * seed,
                    test_accuracy=(accuracy if epoch == 10 else 0.9) + 0.001 * seed,
                )
                for epoch in range(1, 11)
            ]
            record = trained_record(planned_run(asc, f"compact_vgg_{operation}_c8", seed), history)
            write(tmp_path / "records" / f"{operation}-{seed}.json", record)
    rows = {row["guideline"]: row for row in judge(asc) if (row["evidence"], row["family"]) == ("asc", "vgg")}
    assert rows["G3, large C"]["difference"] == pytest.approx(10)
    assert rows["G3, convergence"]["difference"] == pytest.approx(10)


def test_average_and_sum_of_one_seed_are_a_pair(tmp_path, asc, judge):
    for operation in ("average", "sum"):
        for seed in range(5):
            # Seeds are 5 points apart, the operations at most a tenth of a point.
            accuracy = 0.5 + 0.05 * seed + (0.001 if operation == "sum" and seed % 2 else 0)
            record = run_record(asc, f"compact_vgg_{operation}_c2", seed, accuracy, accuracy)
            write(tmp_path / "records" / f"{operation}-{seed}.json", record)
    (row,) = [row for row in judge(asc) if (row["guideline"], row["evidence"], row["family"]) == ("G1", "asc", "vgg")]
    assert row["verdict"] == "provisional: supported"
