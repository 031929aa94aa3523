"""Contrasts of experiments, on made-up runs whose answer is known."""

import numpy as np
import pytest

from compactnet.experiments.config import load_experiment
from compactnet.measure.counts import CountCache
from compactnet.networks import CATALOGUE
from compactnet.report.comparison import Sample, combination
from compactnet.report.figures.contrasts import COLOURS, PAPER, figure_contrasts
from compactnet.report.figures.learning_curves import figure_learning_curves
from compactnet.report.published import INTERPOLATED, interpolation, published_accuracies, published_terms
from compactnet.report.sources import read_sources
from compactnet.report.tables.contrasts import contrasts, outcome
from compactnet.report.tables.paired import paired
from compactnet.schema import Epoch, Network, Predictions
from tests import factories
from tests.report.factories import planned_run, run_record, trained_record, write

SUM, PLAIN, MAX = "compact_mobilenet_sum_c8", "mobilenet_v1_0397", "compact_mobilenet_max_c8"


@pytest.fixture(scope="module")
def evidence(repository):
    return load_experiment(repository / "configs" / "evidence" / "mobilenet.yaml", ["training.epochs=4"])


@pytest.fixture
def read(tmp_path, evidence, repository):
    """Return the `Sources` of the runs in `tmp_path`."""
    counts = CountCache(repository / "results" / "complexity.csv")
    published = repository / "results" / "paper"
    return lambda: read_sources(tmp_path, [evidence], published, counts, list_unstarted=True)


@pytest.fixture
def judge(read):
    """Return {contrast: row} of the runs in `tmp_path`."""
    return lambda: {row["contrast"]: row for row in contrasts(read()).rows}


@pytest.fixture
def train(tmp_path, evidence):
    """Write runs with an accuracy and a spread."""

    def write_runs(network, accuracy, seeds=6, spread=0.01):
        for seed in range(seeds):
            last = accuracy + spread * (seed - (seeds - 1) / 2)
            # The first epoch does not count.
            accuracies = (0.1, last - 0.01, last, last + 0.01)
            history = [
                Epoch(epoch=epoch, seconds=1, train_accuracy=0.5, train_loss=1, test_loss=1, test_accuracy=value)
                for epoch, value in enumerate(accuracies, 1)
            ]
            record = trained_record(planned_run(evidence, network, seed), history)
            assert outcome(record) == pytest.approx(100 * last)
            write(tmp_path / "records" / f"{network}-{seed}.json", record)

    return write_runs


def test_verdicts_are_adjusted_for_the_number_of_contrasts(train, judge):
    for network, accuracy, seeds in ((SUM, 0.60, 6), (PLAIN, 0.80, 6), (MAX, 0.55, 3)):
        train(network, accuracy, seeds)
    rows = judge()
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "squeezed_c4": "not enough runs",
        "squeezed_c8": "contradicted",
        "sum_over_max": "supported",
        "sum_over_first": "not enough runs",
        "small_factor": "not enough runs",
    }
    row = rows["sum_over_max"]
    assert row["difference"] == pytest.approx(5)
    assert row["low"] < 5 < row["high"]
    assert row["runs"] == "6 of 6, 3 of 3"
    # Five are planned; two have a p-value, and the other one is smaller.
    assert row["p_adjusted"] == pytest.approx(4 * row["p_value"])
    assert rows["squeezed_c8"]["p_adjusted"] == pytest.approx(5 * rows["squeezed_c8"]["p_value"])
    assert rows["small_factor"]["runs"] == "0 of 6, 6 of 6"


def test_verdicts_are_provisional_while_runs_are_missing(train, judge):
    train(SUM, 0.60, seeds=3)
    train(MAX, 0.50, seeds=1)
    row = judge()["sum_over_max"]
    assert (row["verdict"], row["difference"], row["runs"]) == ("not enough runs", pytest.approx(10), "3 of 6, 1 of 3")
    assert row["low"] is None
    train(MAX, 0.50, seeds=3)
    assert judge()["sum_over_max"]["verdict"] == "provisional: supported"
    train(MAX, 0.595, seeds=3)
    assert judge()["sum_over_max"]["verdict"] == "provisional: undecided"


def test_runs_on_several_folds_are_no_repetitions(tmp_path, repository):
    terms = "terms: {xvgg8: 1, compact_vgg_sum_c2: -1}"
    changes = [f"contrasts=[{{name: apart, claim: They differ., {terms}}}]", "training.epochs=2"]
    folds = load_experiment(repository / "configs" / "sed-10fold.yaml", changes)
    for network, accuracy in (("xvgg8", 0.6), ("compact_vgg_sum_c2", 0.5)):
        for fold in (1, 2, 3):
            record = run_record(folds, network, fold=f"fold{fold}", last=accuracy + fold / 100)
            write(tmp_path / "records" / f"{network}-{fold}.json", record)
    counts = CountCache(repository / "results" / "complexity.csv")
    (row,) = contrasts(read_sources(tmp_path, [folds], repository / "results" / "paper", counts)).rows
    assert row["difference"] == pytest.approx(5)
    assert (row["low"], row["verdict"]) == (None, "no test")


def test_equal_runs_allow_no_test(train, judge, read):
    train(SUM, 0.60, spread=0.0)
    train(MAX, 0.50, seeds=3, spread=0.0)
    row = judge()["sum_over_max"]
    assert (row["difference"], row["low"], row["verdict"]) == (pytest.approx(10), None, "no test")
    assert row["last_epoch_verdict"] == "no test"
    assert "no test" in [text.get_text() for text in figure_contrasts(read()).legends[0].get_texts()]


def test_generated_data_are_never_beside_the_paper(tmp_path, repository):
    made_up = load_experiment(
        repository / "configs" / "evidence" / "mobilenet.yaml", ["training.epochs=4", "data.generated=true"]
    )
    for network in (SUM, MAX):
        for seed in (0, 1):
            labels = np.arange(10)
            fields = {"predictions": Predictions.of(labels, labels), "accuracies": (0.5 + seed / 10, 1.0)}
            record = factories.run_record(planned_run(made_up, network, seed), **fields)
            write(tmp_path / "records" / f"{network}-{seed}.json", record)
    counts = CountCache(repository / "results" / "complexity.csv")
    sources = read_sources(tmp_path, [made_up], repository / "results" / "paper", counts)
    assert len(sources.members[made_up.name]) == 4
    assert contrasts(sources).rows == paired(sources).rows == []
    assert figure_contrasts(sources) is figure_learning_curves(sources) is None


def test_the_papers_difference_stands_beside(repository, judge):
    rows, paper = judge(), published_accuracies(repository / "results" / "paper", "table4", "ic")
    expected = combination([(1, paper[SUM]), (-1, paper[MAX])])
    found = rows["sum_over_max"]
    assert (found["paper_difference"], found["paper_low"]) == (expected.value, expected.low)
    # Between 0.25 and 0.5 MobileNet, 66.92 and 73.36 %.
    plain = paper[SUM].mean - rows["squeezed_c8"]["paper_difference"]
    assert 66.92 < plain < 73.36
    assert "paper_difference" not in rows["sum_over_first"]


def test_a_width_that_the_paper_has_gets_its_printed_accuracy(repository):
    folder = repository / "results" / "paper"
    counts = CountCache(repository / "results" / "complexity.csv")
    for task in ("sed", "ic"):
        data = load_experiment(repository / "configs" / f"{task}.yaml").data
        for name, accuracy in published_accuracies(folder, "table4", task).items():
            if name in INTERPOLATED:
                network = Network(name="another_name", **dict(CATALOGUE[name]))
                terms = published_terms(folder, counts, data, network)
                assert sum(weight * of.mean for weight, of in terms) == pytest.approx(accuracy.mean)


def test_the_last_epoch_alone_stands_beside(train, judge):
    for network, accuracy in ((SUM, 0.60), (MAX, 0.50)):
        train(network, accuracy, seeds=3)
    row = judge()["sum_over_max"]
    # Its accuracies are 0.01 above the mean of the three last epochs in each run.
    assert row["last_epoch_difference"] == pytest.approx(row["difference"])
    assert row["last_epoch_verdict"] == "provisional: supported"
    assert judge()["squeezed_c4"].get("last_epoch_verdict") is None


def test_interpolation_is_linear_in_the_logarithm():
    points = {100.0: Sample(60.0, 1.0, 5), 400.0: Sample(80.0, 1.0, 5), 1000.0: Sample(90.0, 1.0, 5)}
    assert sum(weight * of.mean for weight, of in interpolation(200, points)) == pytest.approx(70)
    assert sum(weight * of.mean for weight, of in interpolation(400, points)) == pytest.approx(80)
    assert np.isclose([weight for weight, _ in interpolation(1000, points)], [0, 1]).all()
    assert interpolation(50, points) is None
    assert interpolation(1001, points) is None


def test_figures_show_the_contrasts_and_curves_that_have_runs(train, read):
    assert figure_contrasts(read()) is None
    assert figure_learning_curves(read()) is None
    train(SUM, 0.60)
    train(PLAIN, 0.80)
    train(MAX, 0.55, seeds=1)
    (panel,) = figure_contrasts(read()).axes
    drawn = [(line.get_color(), len(line.get_xdata())) for line in panel.lines[:-1]]
    assert drawn == [
        (COLOURS["contradicted"], 2),
        (COLOURS["contradicted"], 1),
        (PAPER, 2),
        (PAPER, 1),
        (COLOURS["not enough runs"], 1),
        (PAPER, 2),
        (PAPER, 1),
    ]
    assert panel.lines[1].get_xdata() == pytest.approx(-20)
    first, second = (label.get_text().splitlines()[-1] for label in panel.get_yticklabels())
    assert (first, second) == ("contradicted; runs: 6 of 6, 6 of 6", "not enough runs; runs: 6 of 6, 1 of 3")
    (panel,) = figure_learning_curves(read()).axes
    assert [text.get_text() for text in panel.get_legend().get_texts()] == [
        "MobileNet-like CompactNet-S (C=8) (n=6)",
        "0.397 MobileNet v1 (n=6)",
        "MobileNet-like CompactNet-M (C=8) (n=1)",
    ]
    assert panel.lines[0].get_ydata() == pytest.approx([10, 59, 60, 61])
