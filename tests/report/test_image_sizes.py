"""Sizes of images, on made-up runs."""

import pytest

from compactnet.experiments.config import load_experiment
from compactnet.measure.counts import CountCache
from compactnet.report.sources import read_sources
from compactnet.report.tables.image_sizes import COLUMNS, EXPERIMENTS, gain, image_sizes
from tests.factories import run_record
from tests.report.factories import official_fingerprint, planned_run, write

NETWORK = "mobilenet_v1_025"
PAPER = 66.92


@pytest.fixture(scope="module")
def experiment(repository):
    return load_experiment(repository / "configs" / "evidence" / "size-64-mobilenet-025.yaml", ["training.epochs=6"])


@pytest.fixture
def judge(tmp_path, experiment, repository):
    """Return the row of runs with some test accuracies in percent."""

    def judge_them(*runs):
        for seed, accuracies in enumerate(runs):
            run = planned_run(experiment, NETWORK, seed)
            record = run_record(run, official_fingerprint(run.data), [accuracy / 100 for accuracy in accuracies])
            write(tmp_path / "records" / f"{seed}.json", record)
        counts = CountCache(repository / "results" / "complexity.csv")
        sources = read_sources(tmp_path, [experiment], repository / "results" / "paper", counts, list_unstarted=True)
        (row,) = image_sizes(sources).rows
        return row

    return judge_them


def table_style(row):
    return next(column for column in COLUMNS if column.name == "verdict").style(row)


def test_every_experiment_exists(repository):
    for name in EXPERIMENTS:
        path = repository / "configs" / "evidence" / f"{name.removeprefix('evidence-')}.yaml"
        assert load_experiment(path).name == name


def test_without_runs_nothing_is_said(judge):
    row = judge()
    assert (row["size"], row["verdict"], row["runs"]) == ("64x64", "not enough runs", "0 of 2")


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ([(50, 60, 63, 63, 62, 63.5)], "provisional: rejected"),
        ([(50, 55, 58, 60, 62, 63)], "provisional: still improving"),
        ([(50, 60, 64, 64, 64, 64)], "not rejected"),
        # A lucky epoch does not hide that a run is still learning.
        ([(50, 60, 63.5, 58, 61, 63)], "provisional: still improving"),
        # The better of two runs decides.
        ([(50, 55, 58, 60, 62, 62), (50, 60, 63, 63, 63, 63)], "rejected"),
        ([(50, 55, 58, 60, 62, 63), (50, 60, 62, 62, 62, 62)], "still improving"),
        # One run of two is good enough for the size.
        ([(50, 60, 60, 60, 60, 60), (50, 60, 65, 65, 65, 65)], "not rejected"),
    ],
)
def test_verdicts(judge, runs, verdict):
    row = judge(*runs)
    best = max(map(max, runs))
    assert row["verdict"] == verdict
    assert table_style(row) == {"rejected": "apart", "not rejected": "same"}.get(verdict.split(": ")[-1], "unknown")
    assert row["best_epoch_percent"] == pytest.approx(best)
    assert row["difference"] == pytest.approx(best - PAPER)


def test_parts_of_the_images_say_nothing(tmp_path, repository):
    change = ["data.train_samples=5000"]
    part = load_experiment(repository / "configs" / "evidence" / "size-64-mobilenet-025.yaml", change)
    run = planned_run(part, NETWORK)
    write(tmp_path / "records" / "0.json", run_record(run, official_fingerprint(run.data), [0.5, 0.5]))
    counts = CountCache(repository / "results" / "complexity.csv")
    assert image_sizes(read_sources(tmp_path, [part], repository / "results" / "paper", counts, True)).rows == []


def test_borrowed_runs_count_where_the_question_is_asked(tmp_path, experiment, repository):
    other = experiment.model_copy(update={"name": "other"})
    run = planned_run(other, NETWORK)
    write(tmp_path / "records" / "0.json", run_record(run, official_fingerprint(run.data), [0.5, 0.64]))
    own = planned_run(experiment, NETWORK, 1)
    write(tmp_path / "records" / "1.json", run_record(own, official_fingerprint(run.data), [0.5, 0.5]))
    counts = CountCache(repository / "results" / "complexity.csv")
    sources = read_sources(tmp_path, [experiment, other], repository / "results" / "paper", counts, True)
    rows = {row["experiment"]: row for row in image_sizes(sources).rows}
    assert (rows[experiment.name]["runs"], rows[experiment.name]["verdict"]) == ("2 of 2", "not rejected")


def test_the_gain_is_that_of_the_last_third(experiment):
    run = planned_run(experiment, NETWORK)
    assert gain(run_record(run, accuracies=(0.5, 0.62, 0.6, 0.61, 0.63, 0.6))) == pytest.approx(1.0)
    assert gain(run_record(run, accuracies=(0.5, 0.62, 0.6, 0.61, 0.6, 0.6))) == pytest.approx(0.0)
