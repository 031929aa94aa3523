"""The comparison of kinds of convolution at equal FLOPs, on invented records."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compactnet.experiments.config import load_experiment
from compactnet.measure.counts import CountCache
from compactnet.measure.speed_records import write_speed_record
from compactnet.networks.convolutions import AnyConvolution
from compactnet.report.choosing import fill_choosing, summary
from compactnet.report.figures.rivals import figure_rivals, pareto_front, spread
from compactnet.report.sources import read_sources
from compactnet.report.tables.rivals import EXPERIMENTS, rivals
from compactnet.schema import NetworkTimings
from tests.report.factories import run_record, speed_record, write


@pytest.fixture(scope="module")
def experiments(repository):
    return {name: load_experiment(repository / "configs" / f"{name}.yaml") for name in EXPERIMENTS}


@pytest.fixture(scope="module")
def counts(repository):
    return CountCache(repository / "results" / "complexity.csv")


@pytest.fixture
def sources_of(tmp_path, repository, experiments, counts):
    """Return the sources of a results folder with some run records of the experiment on images, and speeds."""

    def read(records, times):
        for number, record in enumerate(records):
            write(tmp_path / "records" / record.run.experiment / f"{number}.json", record)
        for skeleton in sorted({name.partition("_")[0] for name in times}):
            networks = [
                NetworkTimings(network=name, flops=1, peak_bytes=None, seconds=((seconds,),))
                for name, seconds in times.items()
                if name.startswith(skeleton)
            ]
            made = speed_record("vgg8", runtime="litert", input_shape=(32, 32, 3))
            write_speed_record(tmp_path, made.model_copy(update={"networks": tuple(networks)}))
        folder = repository / "results" / "paper"
        return read_sources(tmp_path, [experiments["rivals-ic"]], folder, counts)

    return read


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_network_has_the_flops_of_the_first_on_its_skeleton(experiments, counts, name):
    first, kinds = {}, {}
    shape = experiments[name].data.network_input_shape
    for network in experiments[name].networks:
        flops = counts.get(network.name, network, shape).flops
        assert flops == pytest.approx(first.setdefault(network.skeleton.kind, flops), rel=0.06), network.name
        kinds.setdefault(network.skeleton.kind, set()).add(network.convolution.kind)
    union = AnyConvolution.__origin__.__args__
    assert set(kinds) == {"mobilenet_v1", "vgg8"}
    assert all(len(found) == len(union) for found in kinds.values()), "a kind of convolution is missing"


def test_a_row_has_counts_times_accuracies_and_the_difference_from_the_first(experiments, sources_of):
    experiment = experiments["rivals-ic"]
    records = [
        run_record(experiment, network, seed, last, last)
        for network, accuracies in {"mobilenet_sum_c4": (0.6, 0.62), "mobilenet_ghost": (0.5, 0.52)}.items()
        for seed, last in enumerate(accuracies)
    ]
    table = rivals(sources_of(records, {"mobilenet_sum_c4": 0.002, "mobilenet_ghost": 0.001}))
    rows = {row["network"]: row for row in table.rows}
    assert len(rows) == 28
    ghost, first = rows["mobilenet_ghost"], rows["mobilenet_sum_c4"]
    assert ghost["litert_ms"] == pytest.approx(1)
    assert (ghost["accuracy_percent"], ghost["runs"], ghost["epochs"]) == (pytest.approx(51), 2, 50)
    assert ghost["difference"] == pytest.approx(-10)
    assert ghost["difference_low"] < -10 < ghost["difference_high"] < 0
    assert "difference" not in first
    assert "litert_ms" not in rows["vgg_sum_c4"]
    assert ghost["mflops"] == pytest.approx(first["mflops"], rel=0.01)


def test_all_networks_of_a_skeleton_are_compared_after_as_many_epochs(experiments, sources_of):
    experiment = experiments["rivals-ic"]

    def shorter(network, epochs, accuracy, **fields):
        training = experiment.training.model_copy(update={"epochs": epochs})
        changed = experiment.model_copy(update={"training": training})
        return run_record(changed, network, 0, accuracy, accuracy, **fields)

    records = [
        shorter("mobilenet_slim", 2, 0.3),
        shorter("mobilenet_slim", 3, 0.4),
        shorter("mobilenet_slim", 9, 0.9, used={"train": 100}),
        shorter("mobilenet_sum_c4", 3, 0.5),
        run_record(experiment, "mobilenet_sum_c4", 0, 0.7, 0.7),
        run_record(experiment, "vgg_sum_c4", 0, 0.8, 0.8),
    ]
    rows = {row["network"]: row for row in rivals(sources_of(records, {})).rows}
    found = {name: (row["epochs"], row["accuracy_percent"]) for name, row in rows.items() if "epochs" in row}
    # One run of 50 epochs does not take its network out of the comparison.
    assert found == {
        "mobilenet_slim": (3, pytest.approx(40)),
        "mobilenet_sum_c4": (3, pytest.approx(50)),
        "vgg_sum_c4": (50, pytest.approx(80)),
    }
    assert rows["mobilenet_slim"]["difference"] == pytest.approx(-10)


def test_the_front_has_what_no_other_beats_in_both():
    points = {"fast": (1, 50), "slow": (3, 70), "beaten": (2, 40), "same": (3, 60), "middle": (2, 60)}
    assert pareto_front(points) == ["fast", "middle", "slow"]


def test_the_page_names_the_best_and_the_figure_shows_what_has_both(experiments, sources_of, tmp_path):
    experiment = experiments["rivals-ic"]
    records = [
        run_record(experiment, network, seed, last, last)
        for network, accuracies in {"mobilenet_sum_c4": (0.6, 0.62), "mobilenet_ghost": (0.5, 0.52)}.items()
        for seed, last in enumerate(accuracies)
    ]
    sources = sources_of(records, {"mobilenet_sum_c4": 0.002, "mobilenet_ghost": 0.001})
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- rivals-ic -->\n<!-- /rivals-ic -->\nafter\n")
    fill_choosing(page, sources)
    text = page.read_text()
    assert "Most accurate: **MobileNet v1, CompactNet-S (C=4)**, 61.0 %." in text
    assert (
        "less accurate than MobileNet v1, CompactNet-S (C=4) (95 %, not adjusted for the number of comparisons, 1): "
        "MobileNet v1, Ghost module." in text
    )
    assert "LiteRT, the fastest first: MobileNet v1, Ghost module (1.00 ms); MobileNet v1, CompactNet-S" in text
    assert text.startswith("before\n")
    (panel,) = figure_rivals(sources).axes
    assert panel.get_title() == "rivals-ic, MobileNet v1, LiteRT, 50 epochs"
    assert {text.get_text() for text in panel.texts} == {"CompactNet-S (C=4)", "Ghost module"}


def test_skeletons_are_not_compared_with_one_another(experiments, sources_of):
    records = [
        run_record(experiments["rivals-ic"], network, 0, last, last)
        for network, last in (("mobilenet_sum_c4", 0.6), ("mobilenet_ghost", 0.5), ("vgg_sum_c4", 0.8))
    ]
    sources = sources_of(records, {"mobilenet_sum_c4": 0.002, "mobilenet_ghost": 0.001, "vgg_sum_c4": 0.001})
    said = summary(rivals(sources).rows)
    assert said.count("Most accurate") == 2
    assert "Most accurate: **MobileNet v1, CompactNet-S (C=4)**, 60.0 %" in said
    assert "fastest first: MobileNet v1, Ghost module (1.00 ms); MobileNet v1, CompactNet-S (C=4) (2.00 ms)." in said
    titles = [panel.get_title() for panel in figure_rivals(sources).axes]
    assert titles == ["rivals-ic, MobileNet v1, LiteRT, 50 epochs", "rivals-ic, VGG-8, LiteRT, 50 epochs"]


def test_a_title_may_be_worded_anew(experiments, sources_of):
    experiment = experiments["rivals-ic"]
    training = experiment.training.model_copy(update={"epochs": 3})
    networks = [one.model_copy(update={"title": "MobileNet v1, another wording"}) for one in experiment.networks]
    changed = experiment.model_copy(update={"training": training, "networks": networks})
    record = run_record(changed, "mobilenet_ghost", 0, 0.5, 0.5)
    rows = {row["network"]: row for row in rivals(sources_of([record], {})).rows}
    assert rows["mobilenet_ghost"]["epochs"] == 3


def test_without_runs_there_is_no_figure_and_the_page_says_so(sources_of):
    sources = sources_of([], {"mobilenet_sum_c4": 0.002})
    assert figure_rivals(sources) is None
    assert summary(rivals(sources).rows) == "No network of this experiment is trained yet."


@given(st.lists(st.floats(0, 1), max_size=20).map(sorted))
def test_labels_never_overlap(heights):
    moved = spread(heights, 0.04)
    assert all(second - first > 0.04 - 1e-9 for first, second in pairwise(moved))
    assert all(height < 1 + 1e-9 for height in moved)
    if all(second - first >= 0.04 for first, second in pairwise(heights)):
        assert moved == pytest.approx(heights)
