"""Accuracies of classes and comparisons sample by sample, from made-up predictions whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from compactnet.experiments.config import load_experiment
from compactnet.measure.counts import CountCache
from compactnet.report.comparison import sampling_std
from compactnet.report.sources import read_sources
from compactnet.report.tables.class_accuracies import class_accuracies
from compactnet.report.tables.paired import paired
from compactnet.schema import Predictions
from tests.factories import run_record
from tests.report.factories import official_fingerprint, planned_run, write

SUM, MAX = "compact_mobilenet_sum_c8", "compact_mobilenet_max_c8"
SAMPLES = 1000
LABELS = np.arange(SAMPLES) % 10


@pytest.fixture(scope="module")
def experiment(repository):
    return load_experiment(repository / "configs" / "evidence" / "mobilenet.yaml")


@pytest.fixture
def sources(tmp_path, experiment, repository):
    """Return the `Sources` of the records in `tmp_path`."""

    def read():
        counts = CountCache(repository / "results" / "complexity.csv")
        return read_sources(tmp_path, [experiment], repository / "results" / "paper", counts)

    return read


@pytest.fixture
def train(tmp_path, experiment):
    """Write the record of a run that classifies some samples right."""

    def write_run(network, right, seed=0, labels=LABELS, **fields):
        predicted = np.where(right, labels, (labels + 1) % 10)
        run, accuracy = planned_run(experiment, network, seed), float(np.mean(right))
        record = run_record(
            run,
            official_fingerprint(run.data),
            accuracies=(0.1, accuracy),
            predictions=Predictions.of(labels, predicted),
            **fields,
        )
        write(tmp_path / "records" / f"{network}-{seed}.json", record)

    return write_run


def test_each_class_has_its_share(train, sources):
    train(SUM, LABELS < 5)
    train(SUM, LABELS == 0, seed=1)
    (table,) = class_accuracies(sources())
    (row,) = table.rows
    assert (row["network"], row["runs"], row["accuracy_percent"]) == (SUM, 2, pytest.approx(30))
    assert (row["airplane_percent"], row["automobile_percent"], row["truck_percent"]) == (100, 50, 0)
    assert [column.heading for column in table.columns][-1] == "truck"


def test_classes_that_a_test_split_lacks_stay_empty(train, sources):
    train(SUM, LABELS < 5, labels=np.minimum(LABELS, 7))
    train(MAX, np.ones(500, dtype=bool), labels=LABELS[:500])
    (table,) = class_accuracies(sources())
    by_network = {row["network"]: row for row in table.rows}
    assert "truck_percent" not in by_network[SUM] and by_network[SUM]["frog_percent"] == 0
    assert by_network[MAX]["truck_percent"] == 100


def test_records_without_predictions_have_no_classes(train, tmp_path, experiment, sources):
    run = planned_run(experiment, SUM)
    write(tmp_path / "records" / "old.json", run_record(run, official_fingerprint(run.data)))
    (table,) = class_accuracies(sources())
    assert table.rows == []


def test_one_run_each_is_nearly_mcnemars_test(train, sources, experiment):
    generator = np.random.default_rng(0)
    first, second = generator.random(SAMPLES) < 0.7, generator.random(SAMPLES) < 0.65
    train(SUM, first)
    train(MAX, second)
    (row,) = paired(sources()).rows
    alone = np.sum(first & ~second), np.sum(second & ~first)
    assert (row["first"], row["second"], row["samples"], row["runs"]) == (SUM, MAX, SAMPLES, "1, 1")
    assert (row["first_alone_percent"], row["second_alone_percent"]) == pytest.approx(
        (100 * alone[0] / SAMPLES, 100 * alone[1] / SAMPLES)
    )
    assert row["difference"] == pytest.approx(row["first_alone_percent"] - row["second_alone_percent"])
    exact = stats.chi2.sf((alone[0] - alone[1]) ** 2 / sum(alone), 1)
    assert row["p_value"] == pytest.approx(exact, rel=0.05)
    # The other contrasts of the experiment, which have no runs, count too.
    assert row["p_adjusted"] == pytest.approx(min(1, len(experiment.contrasts) * row["p_value"]))
    assert row["runs_error"] is None


def test_networks_that_fail_on_the_same_samples_differ_more_certainly_than_either_is_known(train, sources):
    difficulty = np.random.default_rng(1).random(SAMPLES)
    for seed in range(3):
        train(SUM, difficulty < 0.7 + 0.01 * seed, seed)
        train(MAX, difficulty < 0.6 + 0.01 * seed, seed)
    (row,) = paired(sources()).rows
    assert row["difference"] == pytest.approx(10, abs=1.5)
    assert row["second_alone_percent"] == 0
    assert row["sampling_error"] < sampling_std(65, SAMPLES)
    assert row["runs_error"] > 0


def test_samples_of_other_data_are_not_paired(tmp_path, experiment, train, sources):
    train(SUM, LABELS < 7)
    train(MAX, LABELS < 6)
    assert len(paired(sources()).rows) == 1
    train(MAX, LABELS[:500] < 6, labels=LABELS[:500], seed=1)
    run = planned_run(experiment, MAX, 1)
    path = tmp_path / "records" / f"{MAX}-1.json"
    write(
        path,
        run_record(
            run, official_fingerprint(run.data) + "other", predictions=Predictions.of(LABELS, LABELS), accuracies=(1.0,)
        ),
    )
    assert paired(sources()).rows == []


def test_the_deviation_of_a_test_set_is_binomial():
    generator = np.random.default_rng(2)
    accuracies = 100 * generator.binomial(500, 0.8, 20_000) / 500
    assert sampling_std(80, 500) == pytest.approx(accuracies.std(), rel=0.02)
    assert sampling_std(100, 500) == 0
