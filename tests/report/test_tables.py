"""Tables of made-up records, whose values are invented."""

import csv
import math
import re

import pytest

from compactnet.data import dcase2019, urbansound8k
from compactnet.errors import InputError
from compactnet.experiments.config import load_experiment
from compactnet.measure import CONVENTION, complexity
from compactnet.measure.conventions import ASC_INPUT
from compactnet.measure.counts import CountCache
from compactnet.networks import CATALOGUE, build
from compactnet.report import published
from compactnet.report.comparison import accuracy
from compactnet.report.sources import read_sources, repository_sources, sort_records
from compactnet.report.tables import PAPER_TABLES, select_tables, write_tables
from compactnet.report.tables.run_rows import longest_runs
from compactnet.report.tables.table2 import TRIED
from tests.report.factories import run_record, write


@pytest.fixture(scope="module")
def load(repository):
    """Load a shipped experiment, such as "ic", with changes."""

    def load_it(name, *changes):
        return load_experiment(repository / "configs" / f"{name}.yaml", changes)

    return load_it


@pytest.fixture(scope="module")
def ic(load):
    return load("ic")


@pytest.fixture(scope="module")
def asc(load):
    return load("asc")


@pytest.fixture(scope="module")
def sed(load):
    return load("sed")


@pytest.fixture
def tables_of(tmp_path, repository):
    """Write the tables of some records and return their folder."""

    def write_them(records, experiments, paper=()):
        for number, record in enumerate(records):
            write(tmp_path / "records" / record.run.experiment / f"{number}.json", record)
        counts = CountCache(repository / "results" / "complexity.csv")
        sources = read_sources(tmp_path, experiments, repository / "results" / "paper", counts)
        write_tables(tmp_path, sources, select_tables(paper))
        return tmp_path

    return write_them


def sort(records, *experiments):
    return sort_records(records, {run.key: run for experiment in experiments for run in experiment.runs()})


def rows(path):
    with path.open(newline="") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


def test_accuracy_is_the_mean_of_the_last_epochs_with_the_std_of_a_sample(ic):
    runs = [run_record(ic, "xvgg8", seed, last, best=0.9) for seed, last in enumerate((0.80, 0.82, 0.84))]
    found = accuracy(runs)
    assert found.mean == pytest.approx(82)
    assert found.std == pytest.approx(2)
    assert found.runs == 3
    assert accuracy(runs, "best").mean == pytest.approx(90)
    assert accuracy(runs[:1]).std is None
    assert accuracy([]) is None


def test_table4_has_our_values_next_to_the_papers_and_leaves_the_rest_empty(ic, tables_of):
    records = [run_record(ic, "xvgg8", seed, last) for seed, last in enumerate((0.85, 0.86))]
    table = rows(tables_of(records, [ic], ["table4"]) / "table4.csv")
    assert len(table) == 24
    assert table["xvgg8"]["ic_accuracy_published"] == "85.18"
    assert table["xvgg8"]["ic_accuracy"] == "85.50"
    assert table["xvgg8"]["ic_accuracy_std"] == "0.71"
    assert table["xvgg8"]["ic_runs"] == "2"
    assert table["xvgg8"]["ic_accuracy_difference"] == "0.32"
    # Welch by hand: squares 0.5/2 and 0.23^2/5, 1.09 degrees of freedom, whose t is 10.7 or so.
    low, high = (float(table["xvgg8"][f"ic_accuracy_difference_{end}"]) for end in ("low", "high"))
    assert low < -4
    assert high > 4
    assert (low + high) / 2 == pytest.approx(0.32, abs=0.01)
    assert table["xvgg8"]["ic_runs_done"] == "2 of 5"
    assert table["xvgg8"]["ic_samples"] == "60,000 of 60,000"
    assert table["vgg8"]["ic_runs_done"] == "0 of 5"
    assert table["vgg8"]["ic_samples"] == table["vgg8"]["ic_accuracy_difference_low"] == ""
    assert table["xvgg8"]["ic_accuracy_best_epoch"] == "95.00"
    assert table["vgg8"]["ic_accuracy_published"] == "87.58"
    assert table["vgg8"]["ic_accuracy"] == table["vgg8"]["ic_runs"] == table["vgg8"]["ic_accuracy_difference"] == ""


def test_coloured_rows_stand_beside_the_number_that_chance_would_colour(ic, tables_of):
    above = [run_record(ic, "xvgg8", seed, last) for seed, last in enumerate((0.900, 0.901, 0.902))]
    equal = [run_record(ic, "vgg8", seed, last) for seed, last in enumerate((0.875, 0.876, 0.877))]
    one = [run_record(ic, "resnet50", 0, 0.5)]
    text = (tables_of([*above, *equal, *one], [ic], ["table4"]) / "table4.md").read_text()
    assert "1 of 2 rows with an interval differ significantly from the paper; 0.1 would be expected by chance." in text


def test_recalibrated_accuracy_needs_all_runs(ic, load, tables_of):
    short = load("ic", "training.epochs=2")
    records = [
        run_record(short, "xvgg8", seed, 0.6, recalibrated_accuracy=value) for seed, value in enumerate((0.7, 0.72))
    ]
    records += [
        run_record(short, "vgg8", seed, 0.6, recalibrated_accuracy=value) for seed, value in ((0, 0.7), (1, None))
    ]
    found = rows(tables_of(records, [ic]) / "reduced_budget.csv")
    assert found["xvgg8"]["recalibrated_accuracy_percent"] == "71.00"
    assert found["vgg8"]["recalibrated_accuracy_percent"] == ""
    assert found["xvgg8"]["sampling_std"] == f"{math.sqrt(60 * 40 / 10_000):.2f}"


def test_shorter_runs_are_of_the_same_training_and_count_once(ic, load, tmp_path, repository):
    records = [
        run_record(load("ic", *changes), "xvgg8", seed, finished=finished)
        for changes, seed, finished in (
            (["training.epochs=2"], 0, "2020-01-01"),
            (["training.epochs=3"], 0, "2020-01-01"),
            (["training.epochs=3"], 0, "2020-01-02"),
            (["training.epochs=3"], 1, "2020-01-01"),
            (["training.epochs=9", "training.learning_rate=0.01"], 0, "2020-01-03"),
            (["training.epochs=9", "data.train_samples=100"], 0, "2020-01-03"),
        )
    ]
    for number, record in enumerate(records):
        write(tmp_path / "records" / f"{number}.json", record)
    counts = CountCache(repository / "results" / "complexity.csv")
    sources = read_sources(tmp_path, [ic], repository / "results" / "paper", counts)
    found = longest_runs(ic, "xvgg8", sources)
    assert [(one.run.training.epochs, one.run.seed, one.finished) for one in found] == [
        (3, 0, "2020-01-02"),
        (3, 1, "2020-01-01"),
    ]
    usable = longest_runs(ic, "xvgg8", sources, lambda one: one is not found[0])
    assert [(one.run.seed, one.finished) for one in usable] == [(0, "2020-01-01"), (1, "2020-01-01")]
    assert longest_runs(ic, "vgg8", sources) == []


def test_a_run_counts_in_every_experiment_that_plans_it(ic, load):
    size = load("evidence/size-32-mobilenet-025")
    of_size = [run_record(size, "mobilenet_v1_025", seed) for seed in (0, 1)]
    members, others = sort(of_size, ic, size)
    assert members["evidence-size-32-mobilenet-025"] == members["ic"] == of_size
    assert others == []
    # The experiment's own record comes first, whenever it finished.
    own = run_record(ic, "mobilenet_v1_025", 1, finished="2019-01-01")
    members, _ = sort([*of_size, own], ic, size)
    assert sorted(record.run.experiment for record in members["ic"]) == ["evidence-size-32-mobilenet-025", "ic"]
    assert {record.run.experiment for record in members["evidence-size-32-mobilenet-025"]} == {size.name}
    # Another budget is another run.
    members, others = sort([run_record(load("ic", "training.epochs=49"), "mobilenet_v1_025")], ic, size)
    assert members["evidence-size-32-mobilenet-025"] == members["ic"] == []
    assert len(others) == 1


def test_runs_on_other_clips_are_no_repetitions(load):
    events = load("evidence/events")
    records = [
        run_record(events, "mobilenet_v1_025", seed, fold="fold10", fingerprint=data, finished=finished)
        for seed, data, finished in ((0, "a", "2020-01-01"), (1, "b", "2020-01-02"), (2, "b", "2020-01-03"))
    ]
    members, others = sort(records, events)
    assert [one.run.seed for one in members["evidence-events"]] == [1, 2]
    assert [one.run.seed for one in others] == [0]


def test_a_run_of_fewer_epochs_is_never_in_a_table_of_the_paper(ic, tables_of, load):
    short = load("ic", "training.epochs=3")
    folder = tables_of([run_record(short, "xvgg8", last=0.1234)], [ic], ["table4"])
    assert rows(folder / "table4.csv")["xvgg8"]["ic_accuracy"] == ""
    assert "12.34" not in (folder / "table4.md").read_text()
    reduced = rows(folder / "reduced_budget.csv")["xvgg8"]
    assert reduced["accuracy_last_epoch_percent"] == "12.34"
    assert reduced["epochs"] == "3"
    assert reduced["changed_from_the_config"] == "training.epochs=3"
    assert reduced["training_samples"] == "50000 of 50000"
    assert "Do not compare these" in (folder / "reduced_budget.md").read_text()


@pytest.mark.parametrize("change", ["data.train_samples=100", "training.batch_size=64", "skeletons.vgg8.width=0.5"])
def test_any_other_budget_or_network_is_separated_too(ic, load, change):
    members, others = sort([run_record(load("ic", change), "xvgg8")], ic)
    assert members["ic"] == []
    assert len(others) == 1


def test_other_data_than_the_official_ones_are_separated(ic):
    members, others = sort([run_record(ic, "xvgg8", fingerprint="something else")], ic)
    assert members["ic"] == []
    assert len(others) == 1


def test_runs_on_another_backend_or_thread_count_follow_the_config_and_count_once(ic, load, monkeypatch):
    first = run_record(ic, "xvgg8", last=0.5, finished="2020-01-01")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    second = run_record(load("ic", "threads=8"), "xvgg8", last=0.6, finished="2020-01-02")
    members, others = sort([second, first], ic)
    assert [record.last.test_accuracy for record in members["ic"]] == [0.6]
    assert others == []


def test_generated_data_have_their_own_table_that_says_so(ic, tables_of, load):
    records = [run_record(load("sample/ic"), "xvgg8", fingerprint="generated"), run_record(ic, "xvgg8")]
    folder = tables_of(records, [ic], ["table4"])
    assert (folder / "generated_data.md").read_text().startswith("# Generated data")
    assert rows(folder / "generated_data.csv")["xvgg8"]["data"] == "CIFAR-10 layout, generated data"
    assert rows(folder / "table4.csv")["xvgg8"]["ic_runs"] == "1"
    assert not (folder / "reduced_budget.md").exists()


def test_a_table_of_an_ablation_counts_its_networks_and_has_the_accuracies_of_its_runs(tables_of, load):
    grouping = load("ablations/grouping")
    folder = tables_of([run_record(grouping, "compact_vgg_sum_c2_adjacent")], [grouping])
    table = rows(folder / "experiment_grouping.csv")
    assert list(table) == [network.name for network in grouping.networks]
    counted = complexity(build(grouping.networks[1], (32, 32, 3), 10))
    for name in ("compact_vgg_sum_c2", "compact_vgg_sum_c2_adjacent"):
        assert table[name]["parameters"] == str(counted.params)
        assert table[name]["mflops"] == f"{counted.flops / 1e6:.2f}"
    done = table["compact_vgg_sum_c2_adjacent"]
    assert (done["accuracy_last_epoch_percent"], done["runs_done"], done["samples"]) == (
        "80.00",
        "1 of 3",
        "60,000 of 60,000",
    )
    assert table["compact_vgg_sum_c2"]["accuracy_last_epoch_percent"] == ""
    assert table["compact_vgg_sum_c2"]["runs_done"] == "0 of 3"
    assert "32x32x3 inputs and 10 classes" in (folder / "experiment_grouping.md").read_text()
    assert not (folder / "table4.md").exists()


def test_an_experiment_with_other_classes_is_counted_with_them_and_its_note_stands_above(tables_of, load):
    scenes = load("evidence/scenes")
    folder = tables_of([run_record(scenes, "mobilenet_v1_025", fingerprint="made up")], [scenes])
    assert rows(folder / "experiment_evidence-scenes.csv")["mobilenet_v1_025"]["parameters"] == "222255"
    text = (folder / "experiment_evidence-scenes.md").read_text()
    assert "15 classes" in text
    assert scenes.note in text


def test_a_table_without_rows_is_removed(ic, tables_of):
    (tables_of([], [ic], ["table4"]) / "reduced_budget.csv").write_text("left over")
    assert not (tables_of([], [ic], ["table4"]) / "reduced_budget.csv").exists()


def test_the_published_convention_reproduces_all_48_values_of_table4(ic, tables_of):
    table = rows(tables_of([], [ic], ["table4"]) / "table4.csv")
    values = [(name, task) for name in table for task in ("sed", "ic")]
    assert len(values) == 48
    for name, task in values:
        row = table[name]
        difference = float(row[f"{task}_mflops_published_convention"]) - float(row[f"{task}_mflops_published"])
        assert abs(difference) < 0.1, (name, task)
        assert row[f"{task}_mflops_counted_{'128x201x1' if task == 'sed' else '32x32x3'}"]


def test_committed_tables_are_what_the_committed_records_give(repository, tmp_path):
    results = repository / "results"
    (tmp_path / "README.md").write_bytes((results / "README.md").read_bytes())
    written = write_tables(tmp_path, repository_sources(repository, results))
    assert (tmp_path / "README.md").read_bytes() == (results / "README.md").read_bytes()
    names = {path.stem for path in results.glob("*.md")} - {"README"}
    assert set(written) == names, "run `make tables`, and remove tables that are no longer written"
    for name in written:
        for ending in ("csv", "md"):
            made = (tmp_path / f"{name}.{ending}").read_text()
            assert made == (results / f"{name}.{ending}").read_text(), f"run `make tables`: {name}"


def test_rows_that_differ_in_a_setting_say_which(ic, tables_of, load):
    changes = ["data.resize_to=[64, 64]", "skeletons.vgg8.width=0.5", "skeletons.vgg8.global_pooling=max"]
    folder = tables_of([run_record(load("ic", change), "xvgg8") for change in changes], [ic])
    with (folder / "reduced_budget.csv").open(newline="") as file:
        assert {row["changed_from_the_config"] for row in csv.DictReader(file)} == {
            "data.resize_to=[64, 64]",
            "network.skeleton.width=0.5",
            "network.skeleton.global_pooling=max",
        }


def test_one_seed_on_two_thread_counts_is_one_run(ic, tables_of, load):
    records = [run_record(load("ic", "training.epochs=3", f"threads={threads}"), "xvgg8") for threads in (1, 2)]
    assert rows(tables_of(records, [ic]) / "reduced_budget.csv")["xvgg8"]["runs"] == "1"


def test_runs_on_other_data_are_not_averaged(ic, tables_of, load):
    short = load("ic", "training.epochs=3")
    records = [run_record(short, "xvgg8", seed, fingerprint=f"data {seed}") for seed in (0, 1)]
    with (tables_of(records, [ic]) / "reduced_budget.csv").open(newline="") as file:
        assert [row["runs"] for row in csv.DictReader(file)] == ["1", "1"]


def test_a_run_of_an_unknown_experiment_is_not_compared_with_another(ic, tables_of, load):
    folder = tables_of([run_record(load("ablations/grouping"), "compact_vgg_sum_c2_adjacent")], [ic], ["table4"])
    row = rows(folder / "reduced_budget.csv")["compact_vgg_sum_c2_adjacent"]
    assert row["changed_from_the_config"] == "(configs/ has no such experiment with this network)"


def test_a_seed_that_the_config_does_not_plan_is_named(ic, tables_of, load):
    folder = tables_of([run_record(load("ic", "seeds=[7]"), "xvgg8", seed=7)], [ic], ["table4"])
    assert rows(folder / "reduced_budget.csv")["xvgg8"]["changed_from_the_config"] == "seed=7"


def test_every_table_of_the_paper_names_its_convention(ic, tables_of):
    folder = tables_of([], [ic], PAPER_TABLES)
    for name in PAPER_TABLES:
        assert CONVENTION in (folder / f"{name}.csv").read_text()
        assert CONVENTION in (folder / f"{name}.md").read_text()


def test_every_row_of_the_paper_has_its_network(repository):
    for table in PAPER_TABLES:
        for name in published.networks(repository / "results" / "paper", table):
            assert name in CATALOGUE
    with pytest.raises(InputError, match=r"nowhere/table1\.csv are missing"):
        published.read("nowhere", "table1")


SCENES, EVENTS = f"{dcase2019.OFFICIAL_METADATA}:content", f"{urbansound8k.OFFICIAL_METADATA}:content"


def test_table3_has_our_values_next_to_the_papers(asc, tables_of):
    records = [run_record(asc, "resnet50", seed, last, fingerprint=SCENES) for seed, last in enumerate((0.66, 0.68))]
    folder = tables_of(records, [asc], ["table3"])
    table = rows(folder / "table3.csv")
    assert len(table) == 13
    assert table["resnet50"]["asc_accuracy_published"] == "66.44"
    assert table["resnet50"]["asc_accuracy"] == "67.00"
    assert table["resnet50"]["asc_runs"] == "2"
    assert table["resnet50"]["asc_accuracy_difference"] == "0.56"
    assert abs(float(table["resnet50"]["mflops_difference"])) < 0.06
    assert table["vgg8"]["asc_accuracy"] == ""
    assert "TAU Urban Acoustic Scenes 2019, fold 1 (configs/asc.yaml)" in (folder / "table3.md").read_text()
    assert not (folder / "experiment_asc.md").exists()


def test_networks_that_the_papers_table_lacks_have_their_own_table(asc, tables_of):
    networks = ("vgg8", "compact_vgg_sum_c8", "mobilenet_v1_025")
    folder = tables_of([run_record(asc, name, fingerprint=SCENES) for name in networks], [asc], ["table3"])
    assert set(rows(folder / "experiment_asc.csv")) == {"compact_vgg_sum_c8", "mobilenet_v1_025"}


def test_table4_has_the_events_and_their_ten_folds_in_separate_columns(sed, ic, tables_of, load):
    ten_folds = load("sed-10fold")
    records = [run_record(sed, "xvgg8", last=0.8, fingerprint=EVENTS, fold="fold10")]
    records += [
        run_record(ten_folds, "xvgg8", last=0.5 + fold / 100, fingerprint=EVENTS, fold=f"fold{fold}")
        for fold in range(1, 11)
    ]
    folder = tables_of(records, [sed, ten_folds, ic], ["table4"])
    row = rows(folder / "table4.csv")["xvgg8"]
    assert (row["sed_accuracy"], row["sed_runs"]) == ("80.00", "1")
    assert (row["sed-10fold_accuracy"], row["sed-10fold_runs"]) == ("55.50", "10")
    assert row["sed_accuracy_published"] == row["sed-10fold_accuracy_published"] == "81.42"
    assert row["ic_accuracy"] == ""
    text = (folder / "table4.md").read_text()
    assert "Accuracy, UrbanSound8K, fold 10 as test data (configs/sed.yaml)" in text
    assert "Accuracy, UrbanSound8K, each of 10 folds as test data (configs/sed-10fold.yaml)" in text


def test_planned_folds_of_a_reduced_budget_are_one_row(tables_of, load):
    short = load("sed-10fold", "training.epochs=2")
    records = [run_record(short, "xvgg8", fingerprint=EVENTS, fold=f"fold{fold}") for fold in (10, 2)]
    row = rows(tables_of(records, [load("sed-10fold")]) / "reduced_budget.csv")["xvgg8"]
    assert (row["runs"], row["test_folds"]) == ("2", "2 10")


def test_a_subset_of_the_clips_is_never_in_a_table_of_the_paper_and_says_how_many(sed, ic, tables_of, load):
    used = {"train": 600, "test": 30}
    subset = load("sed", "data.subset=true")
    record = run_record(subset, "xvgg8", last=0.4321, fingerprint="other:content", fold="fold10", used=used)
    folder = tables_of([record], [sed, ic], ["table4"])
    assert rows(folder / "table4.csv")["xvgg8"]["sed_accuracy"] == ""
    row = rows(folder / "reduced_budget.csv")["xvgg8"]
    assert row["samples_used"] == "630 of 60,000 clips"
    assert row["test_folds"] == "10"
    assert row["changed_from_the_config"] == "data.subset=True"


@pytest.mark.parametrize("change", ["data.skip_bad=true", "data.normalization=global", "data.features.hop=441"])
def test_other_features_and_skipped_clips_are_separated_too(sed, load, change):
    members, others = sort([run_record(load("sed", change), "xvgg8", fingerprint=EVENTS, fold="fold10")], sed)
    assert members["sed"] == []
    assert len(others) == 1


def test_metadata_that_are_not_the_official_ones_are_separated(sed):
    members, others = sort([run_record(sed, "xvgg8", fingerprint="edited:content", fold="fold10")], sed)
    assert members["sed"] == []
    assert len(others) == 1


def test_a_fold_that_the_config_does_not_plan_is_a_separate_row(sed, tables_of, load):
    records = [run_record(load("sed", "data.test_folds=[3]"), "xvgg8", fingerprint=EVENTS, fold="fold3")]
    short = load("sed", "training.epochs=2")
    records += [run_record(short, "xvgg8", seed, fingerprint=EVENTS, fold="fold10") for seed in (0, 1)]
    folder = tables_of(records, [sed])
    with (folder / "reduced_budget.csv").open(newline="") as file:
        found = {row["test_folds"]: row for row in csv.DictReader(file)}
    assert found["10"]["runs"] == "2"
    assert found["3"]["runs"] == "1"
    assert found["3"]["changed_from_the_config"] == "data.test_folds=[3]"


def test_a_data_set_with_the_same_layout_has_its_own_name(asc, tables_of, load):
    other = load("asc", "data.archive=TUT-acoustic-scenes-2017-development")
    folder = tables_of([run_record(other, "vgg8", fingerprint="other:content")], [asc], ["table3"])
    row = rows(folder / "reduced_budget.csv")["vgg8"]
    assert row["data"] == "TUT-acoustic-scenes-2017-development"
    assert rows(folder / "table3.csv")["vgg8"]["asc_accuracy"] == ""


def test_the_papers_accuracies_are_possible_with_five_runs_of_one_decimal_and_the_std_with_n_minus_1(repository):
    printed = [
        published.published_accuracy(row, task)
        for table, tasks in (("table3", ["asc"]), ("table4", ["sed", "ic"]))
        for row in published.read(repository / "results" / "paper", table)
        for task in tasks
    ]
    assert len(printed) == 61
    assert all(round(100 * paper.mean) % 2 == 0 for paper in printed)
    largest = math.isqrt(round(4 * (10 * max(paper.std for paper in printed) + 1) ** 2)) + 5
    # {sum of integers: the possible sums of their squares, as bits}
    possible = {0: 1}
    for _ in range(5):
        extended = {}
        for total, squares in possible.items():
            for value in range(-largest, largest + 1):
                extended[total + value] = extended.get(total + value, 0) | squares << value**2
        possible = extended

    def fits(paper, degrees):
        """Say whether five integers, tenths of a percent, have this rounded std and the mean's remainder."""
        remainder = round(50 * paper.mean) % 5
        low, high = (degrees * (10 * paper.std + half) ** 2 + remainder**2 / 5 for half in (-0.05, 0.05))
        return any(possible[remainder] >> squares & 1 for squares in range(math.ceil(low), math.floor(high) + 1))

    assert all(fits(paper, 4) for paper in printed)
    assert not all(fits(paper, 5) for paper in printed)


@pytest.mark.parametrize("network", TRIED)
def test_the_variants_in_the_note_of_table2_have_these_flops(network):
    counted = complexity(build(CATALOGUE[network], ASC_INPUT, 10))
    flops = {layer.name: layer.flops for layer in counted.layers}
    depthwise = sum(layer.flops for layer in counted.layers if layer.kind == "DepthwiseConv2D")
    # With the strides of its block, a 1x1 convolution has a quarter of the outputs.
    blocks = {"mobilenet_v2_100": "stage[2346]_block1_expand", "shufflenet_v1_200": "stage[234]_unit1_reduce"}
    strided = [number for name, number in flops.items() if re.fullmatch(blocks[network], name)]
    assert len(strided) == {"mobilenet_v2_100": 4, "shufflenet_v1_200": 3}[network]
    variants = {
        "as it is": counted.flops,
        "strides in the 1x1 convolutions": counted.flops - 3 / 4 * sum(strided),
        "without depthwise convolutions": counted.flops - depthwise,
    }
    if network == "mobilenet_v2_100":
        removed = flops["stage1_block1_expand"] + flops["last"]
        variants["without the first 1x1 convolution and the last convolution"] = counted.flops - removed
    else:
        ungrouped = flops["stage2_unit1_reduce"] + flops["stage2_unit1_expand_pointwise"]
        variants["with groups in the first unit too"] = counted.flops - ungrouped * 2 / 3
    assert {name: round(number / 1e6, 1) for name, number in variants.items()} == TRIED[network]


def test_other_folds_to_train_on_are_another_budget(tables_of, load):
    events = load("evidence/events")
    record = run_record(events, "compact_mobilenet_sum_c8", fold="fold10", fingerprint="made up")
    data = record.run.data.model_copy(update={"train_folds": None})
    run = record.run.model_copy(update={"data": data})
    record = record.model_copy(update={"run": run, "protocol_hash": run.protocol_hash(record.fingerprint)})
    with (tables_of([record], [events]) / "reduced_budget.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["changed_from_the_config"].startswith("data.train_folds")


@pytest.mark.parametrize("table", ["table3", "table4"])
def test_an_experiment_of_a_table_may_have_some_of_its_networks(tables_of, asc, ic, table):
    whole = asc if table == "table3" else ic
    networks = tuple(network for network in whole.networks if network.name == "xvgg8")
    some = whole.model_copy(update={"networks": networks})
    found = rows(tables_of([run_record(some, "xvgg8", last=0.7)], [some], [table]) / f"{table}.csv")
    assert found["xvgg8"][f"{some.name}_accuracy"] == "70.00"
    assert found["vgg8"][f"{some.name}_accuracy"] == ""
