"""Tables from made-up records; the figures in them are invented and say so in nothing but this file."""

import csv

import pytest

from compactnet.data import dcase2019, urbansound8k
from compactnet.errors import InputError
from compactnet.experiments.config import load_config, load_shipped
from compactnet.measure import CONVENTION
from compactnet.networks import CATALOGUE
from compactnet.report import published
from compactnet.report.counts import Counts
from compactnet.report.paper_tables import accuracy
from compactnet.report.tables import read_sources, sort_records, write_tables
from tests.report.made_up import record as made_up


@pytest.fixture(scope="module")
def ic(repository):
    return load_config(repository / "configs" / "ic.yaml")


@pytest.fixture
def write(tmp_path, repository):
    """Write the tables of some records and return the folder they are in."""
    import json

    def write_them(records, configs, **options):
        for index, record in enumerate(records):
            path = tmp_path / "records" / record["study"] / f"{index}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))
        counts = Counts(repository / "results" / "complexity.csv")
        sources = read_sources(tmp_path, configs, repository / "results" / "paper", counts)
        write_tables(tmp_path, sources, **options)
        return tmp_path

    return write_them


def rows(path):
    with path.open(newline="") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


def test_accuracy_is_the_mean_of_the_last_epochs_with_the_sample_deviation(ic):
    runs = [made_up(ic, "xvgg8", seed, last, best=0.9) for seed, last in enumerate((0.80, 0.82, 0.84))]
    figures = accuracy(runs)
    assert figures.mean == pytest.approx(82)
    assert figures.std == pytest.approx(2)
    assert figures.runs == 3
    assert accuracy(runs, "best").mean == pytest.approx(90)
    assert accuracy(runs[:1]).std is None
    assert accuracy([]) is None


def test_table4_sets_ours_beside_the_papers_and_leaves_the_rest_empty(ic, write):
    records = [made_up(ic, "xvgg8", seed, last) for seed, last in enumerate((0.85, 0.86))]
    table = rows(write(records, [ic], paper_tables=("table4",)) / "table4.csv")
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
    assert table["xvgg8"]["ic_cells"] == "2 of 5"
    assert table["xvgg8"]["ic_samples"] == "60,000 of 60,000"
    assert table["vgg8"]["ic_cells"] == "0 of 5"
    assert table["vgg8"]["ic_samples"] == table["vgg8"]["ic_accuracy_difference_low"] == ""
    assert table["xvgg8"]["ic_accuracy_best_epoch"] == "95.00"
    assert table["vgg8"]["ic_accuracy_published"] == "87.58"
    assert table["vgg8"]["ic_accuracy"] == table["vgg8"]["ic_runs"] == table["vgg8"]["ic_accuracy_difference"] == ""


def test_a_run_of_fewer_epochs_never_stands_beside_the_paper(ic, write, repository):
    short = load_config(repository / "configs" / "ic.yaml", ["training.epochs=3"])
    folder = write([made_up(short, "xvgg8", last=0.1234)], [ic], paper_tables=("table4",))
    assert rows(folder / "table4.csv")["xvgg8"]["ic_accuracy"] == ""
    assert "12.34" not in (folder / "table4.md").read_text()
    reduced = rows(folder / "reduced_budget.csv")["xvgg8"]
    assert reduced["accuracy_last_epoch_percent"] == "12.34"
    assert reduced["epochs"] == "3"
    assert reduced["changed_from_the_config"] == "training.epochs=3"
    assert reduced["training_samples"] == "50000 of 50000"
    assert "may be read beside the paper" in (folder / "reduced_budget.md").read_text()


@pytest.mark.parametrize("change", ["data.train_samples=100", "training.batch_size=64", "skeletons.vgg8.width=0.5"])
def test_any_other_budget_or_network_is_kept_apart_too(ic, repository, change):
    changed = load_config(repository / "configs" / "ic.yaml", [change])
    members, others = sort_records([made_up(changed, "xvgg8")], [ic])
    assert members["ic"] == []
    assert len(others) == 1


def test_other_data_than_the_official_ones_are_kept_apart(ic):
    members, others = sort_records([made_up(ic, "xvgg8", content="something else")], [ic])
    assert members["ic"] == []
    assert len(others) == 1


def test_runs_on_another_backend_or_thread_count_are_the_configs_and_count_once(ic, repository, monkeypatch):
    first = made_up(ic, "xvgg8", last=0.5, finished="2020-01-01")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    eight = load_config(repository / "configs" / "ic.yaml", ["threads=8"])
    second = made_up(eight, "xvgg8", last=0.6, finished="2020-01-02")
    members, others = sort_records([second, first], [ic])
    assert [record["last"]["test_accuracy"] for record in members["ic"]] == [0.6]
    assert others == []


def test_generated_data_have_a_table_of_their_own_that_says_so(ic, write, repository):
    sample = load_config(repository / "configs" / "sample" / "ic.yaml")
    folder = write(
        [made_up(sample, "xvgg8", content="generated"), made_up(ic, "xvgg8")], [ic], paper_tables=("table4",)
    )
    text = (folder / "generated_data.md").read_text()
    assert text.startswith("# Generated data")
    assert rows(folder / "generated_data.csv")["xvgg8"]["data"] == "CIFAR-10 layout, generated data"
    assert rows(folder / "table4.csv")["xvgg8"]["ic_runs"] == "1"
    assert not (folder / "reduced_budget.md").exists()


def test_an_ablation_has_its_own_table(write, repository):
    config = load_config(repository / "configs" / "ablations" / "grouping.yaml")
    folder = write([made_up(config, "compact_vgg_sum_c2_adjacent")], [config], paper_tables=())
    assert "compact_vgg_sum_c2_adjacent" in rows(folder / "study_grouping.csv")
    assert not (folder / "table4.md").exists()


def test_a_table_without_rows_goes_away(ic, write, repository):
    (write([], [ic], paper_tables=("table4",)) / "reduced_budget.csv").write_text("left over")
    assert not (write([], [ic], paper_tables=("table4",)) / "reduced_budget.csv").exists()


def test_the_published_convention_reproduces_all_48_figures_of_table4(write, repository, ic):
    table = rows(write([], [ic], paper_tables=("table4",)) / "table4.csv")
    figures = [(name, task) for name in table for task in ("sed", "ic")]
    assert len(figures) == 48
    for name, task in figures:
        row = table[name]
        difference = float(row[f"{task}_mflops_published_convention"]) - float(row[f"{task}_mflops_published"])
        assert abs(difference) < 0.1, (name, task)
        assert row[f"{task}_mflops_counted_{'128x201x1' if task == 'sed' else '32x32x3'}"]


def test_committed_tables_are_what_the_committed_records_give(repository, tmp_path):
    configs = load_shipped(repository / "configs")
    (tmp_path / "records").symlink_to(repository / "results" / "records")
    (tmp_path / "README.md").write_bytes((repository / "results" / "README.md").read_bytes())
    counts = Counts(repository / "results" / "complexity.csv")
    written = write_tables(tmp_path, read_sources(tmp_path, configs, repository / "results" / "paper", counts))
    assert (tmp_path / "README.md").read_bytes() == (repository / "results" / "README.md").read_bytes()
    for name in written:
        for ending in ("csv", "md"):
            made = (tmp_path / f"{name}.{ending}").read_text()
            assert made == (repository / "results" / f"{name}.{ending}").read_text(), f"run `make tables`: {name}"


def test_rows_that_differ_in_a_setting_say_which(ic, write, repository):
    changes = ["data.resize_to=[64, 64]", "skeletons.vgg8.width=0.5", "skeletons.vgg8.global_pooling=max"]
    changed = [load_config(repository / "configs" / "ic.yaml", [change]) for change in changes]
    folder = write([made_up(config, "xvgg8") for config in changed], [ic], paper_tables=())
    with (folder / "reduced_budget.csv").open(newline="") as file:
        assert {row["changed_from_the_config"] for row in csv.DictReader(file)} == {
            "data.resize_to=[64, 64]",
            "network.skeleton.width=0.5",
            "network.skeleton.global_pooling=max",
        }


def test_one_seed_on_two_thread_counts_is_one_run(ic, write, repository):
    changes = [["training.epochs=3", "threads=1"], ["training.epochs=3", "threads=2"]]
    records = [made_up(load_config(repository / "configs" / "ic.yaml", change), "xvgg8") for change in changes]
    assert rows(write(records, [ic], paper_tables=()) / "reduced_budget.csv")["xvgg8"]["runs"] == "1"


def test_a_study_whose_config_is_not_at_hand_is_not_called_by_anothers(ic, write, repository):
    config = load_config(repository / "configs" / "ablations" / "grouping.yaml")
    folder = write([made_up(config, "compact_vgg_sum_c2")], [ic], paper_tables=("table4",))
    row = rows(folder / "reduced_budget.csv")["compact_vgg_sum_c2"]
    assert row["changed_from_the_config"] == "(its config is not at hand)"


def test_every_table_names_its_convention(ic, write):
    folder = write([], [ic])
    for name in ("table1", "table2", "table3", "table4"):
        assert CONVENTION in (folder / f"{name}.csv").read_text()
        assert CONVENTION in (folder / f"{name}.md").read_text()


def test_counts_are_kept_and_a_changed_network_is_counted_again(tmp_path, repository):
    committed = repository / "results" / "complexity.csv"
    path = tmp_path / "complexity.csv"
    path.write_text(committed.read_text().replace("220970", "123"))
    shape = (128, 512, 1)
    spec = CATALOGUE["mobilenet_v1_025"]
    assert Counts(path).get("mobilenet_v1_025", spec, shape).params == 123
    counts = Counts(path, recount=True)
    assert counts.get("mobilenet_v1_025", spec, shape).params == 220_970
    counts.save()
    assert Counts(path).get("mobilenet_v1_025", spec, shape).params == 220_970
    path.write_text("network,input\na,b\n")
    with pytest.raises(InputError, match="not a table of counts"):
        Counts(path)


def test_every_row_of_the_paper_has_its_network(repository):
    for table in ("table1", "table2", "table3", "table4"):
        for model in published.read(repository / "results" / "paper", table)["model"]:
            assert published.network_of(model) in CATALOGUE
    with pytest.raises(InputError, match=r"nowhere/table1\.csv are missing"):
        published.read("nowhere", "table1")


@pytest.fixture(scope="module")
def asc(repository):
    return load_config(repository / "configs" / "asc.yaml")


@pytest.fixture(scope="module")
def sed(repository):
    return load_config(repository / "configs" / "sed.yaml")


@pytest.fixture(scope="module")
def ten_folds(repository):
    return load_config(repository / "configs" / "sed-10fold.yaml")


SCENES, EVENTS = f"{dcase2019.OFFICIAL_METADATA}:content", f"{urbansound8k.OFFICIAL_METADATA}:content"


def test_table3_sets_ours_beside_the_papers(asc, write):
    records = [made_up(asc, "resnet50", seed, last, content=SCENES) for seed, last in enumerate((0.66, 0.68))]
    folder = write(records, [asc], paper_tables=("table3",))
    table = rows(folder / "table3.csv")
    assert len(table) == 13
    assert table["resnet50"]["asc_accuracy_published"] == "66.44"
    assert table["resnet50"]["asc_accuracy"] == "67.00"
    assert table["resnet50"]["asc_runs"] == "2"
    assert table["resnet50"]["asc_accuracy_difference"] == "0.56"
    assert abs(float(table["resnet50"]["mflops_difference"])) < 0.06
    assert table["vgg8"]["asc_accuracy"] == ""
    assert "TAU Urban Acoustic Scenes 2019, fold 1 (configs/asc.yaml)" in (folder / "table3.md").read_text()
    assert not (folder / "study_asc.md").exists()


def test_networks_that_the_papers_table_lacks_have_a_table_of_their_own(asc, write):
    records = [made_up(asc, name, content=SCENES) for name in ("vgg8", "compact_vgg_sum_c8", "mobilenet_v1_025")]
    folder = write(records, [asc], paper_tables=("table3",))
    assert set(rows(folder / "study_asc.csv")) == {"compact_vgg_sum_c8", "mobilenet_v1_025"}


def test_table4_has_the_events_and_their_ten_folds_apart(sed, ten_folds, ic, write):
    records = [made_up(sed, "xvgg8", last=0.8, content=EVENTS, part="fold10")]
    records += [
        made_up(ten_folds, "xvgg8", last=0.5 + fold / 100, content=EVENTS, part=f"fold{fold}") for fold in range(1, 11)
    ]
    folder = write(records, [sed, ten_folds, ic], paper_tables=("table4",))
    row = rows(folder / "table4.csv")["xvgg8"]
    assert (row["sed_accuracy"], row["sed_runs"]) == ("80.00", "1")
    assert (row["sed-10fold_accuracy"], row["sed-10fold_runs"]) == ("55.50", "10")
    assert row["sed_accuracy_published"] == row["sed-10fold_accuracy_published"] == "81.42"
    assert row["ic_accuracy"] == ""
    text = (folder / "table4.md").read_text()
    assert "Accuracy, UrbanSound8K, fold 10 held out (configs/sed.yaml)" in text
    assert "Accuracy, UrbanSound8K, each of 10 folds held out in turn (configs/sed-10fold.yaml)" in text


def test_a_subset_of_the_clips_never_stands_beside_the_paper_and_says_how_many(sed, ic, write, repository):
    part = load_config(repository / "configs" / "sed.yaml", ["data.subset=true"])
    used = {"train": 600, "test": 30}
    record = made_up(part, "xvgg8", last=0.4321, content="other:content", part="fold10", used=used)
    folder = write([record], [sed, ic], paper_tables=("table4",))
    assert rows(folder / "table4.csv")["xvgg8"]["sed_accuracy"] == ""
    row = rows(folder / "reduced_budget.csv")["xvgg8"]
    assert row["samples_used"] == "630 of 60,000 clips"
    assert row["test_folds"] == "10"
    assert row["changed_from_the_config"] == "data.subset=True"


@pytest.mark.parametrize("changes", [["data.skip_bad=true"], ["data.normalization=global"], ["data.features.hop=441"]])
def test_other_features_and_skipped_clips_are_kept_apart_too(sed, repository, changes):
    changed = load_config(repository / "configs" / "sed.yaml", changes)
    members, others = sort_records([made_up(changed, "xvgg8", content=EVENTS, part="fold10")], [sed])
    assert members["sed"] == []
    assert len(others) == 1


def test_metadata_that_are_not_the_official_ones_are_kept_apart(sed):
    members, others = sort_records([made_up(sed, "xvgg8", content="edited:content", part="fold10")], [sed])
    assert members["sed"] == []
    assert len(others) == 1


def test_a_fold_that_the_config_does_not_plan_is_a_row_of_its_own(sed, write, repository):
    other = load_config(repository / "configs" / "sed.yaml", ["data.test_folds=[3]"])
    short = load_config(repository / "configs" / "sed.yaml", ["training.epochs=2"])
    records = [made_up(other, "xvgg8", content=EVENTS, part="fold3")]
    records += [made_up(short, "xvgg8", seed, content=EVENTS, part="fold10") for seed in (0, 1)]
    folder = write(records, [sed], paper_tables=())
    with (folder / "reduced_budget.csv").open(newline="") as file:
        found = {row["test_folds"]: row for row in csv.DictReader(file)}
    assert found["10"]["runs"] == "2"
    assert found["3"]["runs"] == "1"
    assert found["3"]["changed_from_the_config"] == "data.test_folds=[3]"


def test_a_data_set_that_shares_the_layout_has_its_own_name(asc, write, repository):
    other = load_config(repository / "configs" / "asc.yaml", ["data.archive=TUT-acoustic-scenes-2017-development"])
    folder = write([made_up(other, "vgg8", content="other:content")], [asc], paper_tables=("table3",))
    row = rows(folder / "reduced_budget.csv")["vgg8"]
    assert row["data"] == "TUT-acoustic-scenes-2017-development"
    assert rows(folder / "table3.csv")["vgg8"]["asc_accuracy"] == ""
