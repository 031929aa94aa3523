"""What Figs. 3, 5 and 7 draw, from made-up runs and speeds whose answer is known."""

import numpy as np
import pytest

from compactnet.experiments.config import load_experiment
from compactnet.measure.counts import CountCache
from compactnet.measure.speed_records import FAMILIES, write_speed_record
from compactnet.report.figures import FIGURES
from compactnet.report.figures.style import NETWORKS, OPERATIONS
from compactnet.report.published import published_accuracies, published_speeds
from compactnet.report.sources import read_sources
from compactnet.schema import Epoch
from tests.report.factories import planned_run, run_record, speed_record, trained_record, write


@pytest.fixture(scope="module")
def experiments(repository):
    return {
        name: load_experiment(repository / "configs" / f"{name}.yaml", ["training.epochs=2"]) for name in ("asc", "ic")
    }


@pytest.fixture
def draw(tmp_path, experiments, repository):
    """Draw a figure from the records in `tmp_path`."""

    def draw_it(name):
        counts = CountCache(repository / "results" / "complexity.csv")
        published = repository / "results" / "paper"
        return FIGURES[name](read_sources(tmp_path, experiments.values(), published, counts))

    return draw_it


@pytest.fixture
def train(tmp_path, experiments):
    """Write a run of each accuracy."""

    def write_runs(experiment, network, *accuracies):
        for seed, last in enumerate(accuracies):
            record = run_record(experiments[experiment], network, seed, last=last)
            write(tmp_path / "records" / f"{experiment}-{network}-{seed}.json", record)

    return write_runs


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_figure_3_has_mean_and_spread_of_each_operation(tmp_path, experiments, draw):
    assert draw("figure3") is None
    for network, seed, shift in (
        ("compact_vgg_sum_c2", 0, 0),
        ("compact_vgg_sum_c2", 1, 0.1),
        ("compact_vgg_max_c2", 0, 0.2),
    ):
        history = [
            Epoch(
                epoch=epoch,
                seconds=1,
                train_accuracy=0.5 + epoch / 10 + shift,
                test_accuracy=0.3 + epoch / 10 + shift,
                train_loss=1 - epoch / 10 + shift,
                test_loss=2 - epoch / 10 + shift,
            )
            for epoch in (1, 2)
        ]
        write(
            tmp_path / "records" / f"{network}-{seed}.json",
            trained_record(planned_run(experiments["asc"], network, seed), history),
        )
    figure = draw("figure3")
    assert texts(figure.axes[0].get_legend()) == ["max (n=1)", "sum (n=2)"]
    for panel, label, first in zip(
        figure.axes,
        ("training accuracy (%)", "validation accuracy (%)", "training loss", "validation loss"),
        ([60, 70], [40, 50], [0.9, 0.8], [1.9, 1.8]),
        strict=True,
    ):
        scale = 100 if "%" in label else 1
        most, total = panel.lines
        assert panel.get_ylabel() == label
        assert (most.get_color(), total.get_color()) == (OPERATIONS["max"][0], OPERATIONS["sum"][0])
        np.testing.assert_array_equal(total.get_xdata(), [1, 2])
        np.testing.assert_allclose(most.get_ydata(), np.array(first) + 0.2 * scale)
        np.testing.assert_allclose(total.get_ydata(), np.array(first) + 0.05 * scale)
        # One run has no spread; the standard deviation of two is their difference over the root of 2.
        (band,) = panel.collections
        heights = band.get_paths()[0].vertices[:, 1]
        low, high = first[0] + (0.05 - 0.1 / 2**0.5) * scale, first[0] + (0.05 + 0.1 / 2**0.5) * scale
        assert any(np.isclose(heights, low)) and any(np.isclose(heights, high))


def test_figure_5_has_accuracy_against_speed_and_the_papers_beside(tmp_path, repository, train, draw):
    baseline = "mobilenet_v1_100"
    train("asc", baseline, 0.7, 0.8)
    train("asc", "mobilenet_v1_025", 0.6)
    train("asc", "compact_mobilenet_max_c2", 0.9)  # speed was measured with the sum
    assert draw("figure5") is None
    write_speed_record(tmp_path, speed_record(baseline, input_shape=(128, 512, 1)))
    (panel,) = draw("figure5").axes
    assert (panel.get_xscale(), panel.get_xlabel()) == ("log", "speed (samples/s)")
    (ours,) = [line for line in panel.lines if line.get_linestyle() == "-"]
    colour, marker, _ = NETWORKS["MobileNet v1 (1.0, 0.5, 0.25)"]
    assert (ours.get_color(), ours.get_marker()) == (colour, marker)
    # The median of all six calls of the first is 0.16 s; the n-th of the family is n times as fast.
    place = 1 + [baseline, *FAMILIES[baseline]].index("mobilenet_v1_025")
    np.testing.assert_allclose(ours.get_xdata(), [1 / 0.16, place / 0.16])
    np.testing.assert_allclose(ours.get_ydata(), [75, 60])
    # The paper's Table III has 1.0 MobileNet v1 alone.
    (paper,) = [line for line in panel.lines if line.get_linestyle() == ":" and line.get_color() == colour]
    assert paper.get_markerfacecolor() == "white"
    published = repository / "results" / "paper"
    assert paper.get_xdata() == [published_speeds(published)[baseline]["cpu"]]
    assert paper.get_ydata() == [published_accuracies(published, "table3", "asc")[baseline].mean]


def test_figure_7_has_accuracy_against_the_factor_and_the_papers_beside(train, draw):
    assert draw("figure7") is None
    train("ic", "xvgg8", 0.9)
    assert draw("figure7") is None
    for factor, accuracies in ((2, (0.8, 0.84)), (8, (0.6, 0.66))):
        train("ic", f"compact_vgg_sum_c{factor}", *accuracies)
    figure = draw("figure7")
    families = [panel.get_title() for panel in figure.axes]
    assert families == [f"{name}-like, experiment ic" for name in ("VGG", "ResNet", "MobileNet")]
    assert [len(panel.containers) for panel in figure.axes] == [3, 2, 2]  # the paper's sum and max, and our sum
    (ours,) = [bars for bars in figure.axes[0].containers if bars[0].get_linestyle() == "-"]
    line, _, (spread,) = ours
    assert line.get_color() == OPERATIONS["sum"][0]
    np.testing.assert_allclose(line.get_xdata(orig=False), [2 * 1.03, 8 * 1.03])
    np.testing.assert_allclose(line.get_ydata(orig=False), [82, 63])
    low, high = spread.get_segments()[0][:, 1]
    np.testing.assert_allclose((low, high), [82 - 2 * 2**0.5, 82 + 2 * 2**0.5])
    assert texts(figure.legends[0]) == ["average", "max", "sum", "ours, one standard deviation", "paper"]
