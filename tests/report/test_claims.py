"""Claims of the paper, by its own figures and on made-up runs; the page of the reproduction."""

import pytest

from compactnet.experiments.config import load_experiment, load_shipped
from compactnet.measure.counts import CountCache
from compactnet.networks import CATALOGUE
from compactnet.report.reproduction import fill_reproduction
from compactnet.report.sources import read_sources, repository_sources
from compactnet.report.tables.claims import CLAIMS, claims
from compactnet.report.tables.contrasts import contrasts
from compactnet.report.tables.image_sizes import image_sizes
from compactnet.report.tables.results import results
from compactnet.report.tables.table1 import table1
from compactnet.report.tables.table2 import table2
from tests.report.factories import run_record, write


@pytest.fixture
def sources_of(tmp_path, repository):
    def read(experiments, list_unstarted=True):
        counts = CountCache(repository / "results" / "complexity.csv")
        return read_sources(tmp_path, experiments, repository / "results" / "paper", counts, list_unstarted)

    return read


@pytest.fixture(scope="module")
def ic(repository):
    return load_experiment(repository / "configs" / "ic.yaml", ["training.epochs=2"])


def test_claims_name_networks_of_the_catalogue_and_contrasts_that_exist(repository):
    known = {
        (experiment.name, contrast.name)
        for experiment in load_shipped(repository / "configs")
        for contrast in experiment.contrasts
    }
    for claim in CLAIMS:
        assert {claim.more, claim.less} <= {*CATALOGUE, None}
        assert claim.contrast is None or claim.contrast in known


def test_the_papers_figures_support_four_claims(sources_of):
    table = claims(sources_of([]))
    rows = table.rows
    assert {row["claim"] for row in rows if row["paper_verdict"] == "supported"} == {
        "CompactNets surpass ResNet by a large margin",
        "XVGG-8 has 1.06 more than CompactNet-S (C=2)",
        "MobileNet v1 has 1.2 more than CompactNet-S (C=2)",
        "CompactNet-S (C=2) beats a MobileNet v1 of equal FLOPs",
    }
    by_claim = {(row["claim"], row["task"]): row for row in rows}
    # Gains of 1.0 and 0.6 points and a loss of 1.0 on images, interpolated in log FLOPs by hand.
    for factor, gain in ((2, 1.04), (4, 0.55), (8, -1.00)):
        row = by_claim[f"CompactNet-S (C={factor}) beats a MobileNet v1 of equal FLOPs", "images"]
        assert row["paper_difference"] == pytest.approx(gain, abs=0.01)
    assert {row["verdict"] for row in rows} == {"not enough runs"}
    # The claims and our questions are adjusted by themselves, and the note says what that changes.
    first, questions = [row["paper_p_adjusted"] for row in rows[:10]], [row["paper_p_adjusted"] for row in rows[10:]]
    assert {row["section"] for row in rows[10:]} == {"ours"}
    assert sorted(first)[2] == pytest.approx(8 * 0.00392, abs=0.001)
    assert sum(p <= 0.05 for p in questions) == 1
    assert (
        '"CompactNets surpass ResNet by a large margin" (acoustic scenes) would be undecided (p 0.051)'
        in table.notes[-1]
    )


def test_our_runs_stand_beside(tmp_path, ic, sources_of):
    for network, last in (("xvgg8", 0.60), ("compact_vgg_sum_c2", 0.50)):
        for seed in range(5):
            record = run_record(ic, network, seed, last=last + seed / 1000)
            write(tmp_path / "records" / f"{network}-{seed}.json", record)
    row = next(row for row in claims(sources_of([ic])).rows if row["claim"].startswith("XVGG-8 has 1.06"))
    assert (row["experiment"], row["verdict"], row["runs"]) == ("ic", "supported", "5 + 5")
    # The outcome is the mean of the epochs: the best one is 0.95 in both.
    assert row["difference"] == pytest.approx(5)
    assert row["command"] == 'make reproduce-ic ARGS="--only xvgg8 compact_vgg_sum_c2"'


@pytest.mark.parametrize(
    "change", ["skeletons={vgg8: {padding: same, width: 0.25}}", "training.learning_rate=0.01", "training.batch_size=8"]
)
def test_networks_and_trainings_that_are_not_the_papers_decide_nothing(tmp_path, repository, sources_of, change):
    other = load_experiment(repository / "configs" / "evidence" / "vgg.yaml", [change])
    for network in ("xvgg8", "compact_vgg_sum_c2"):
        for seed in range(2):
            record = run_record(other, network, seed, last=0.5 + seed / 100)
            write(tmp_path / "records" / other.name / f"{network}-{seed}.json", record)
    sources = sources_of([other])
    assert not any("experiment" in row for row in claims(sources).rows)
    assert image_sizes(sources).rows == []
    row = next(row for row in contrasts(sources).rows if row["contrast"] == "separable_over_compact")
    assert "difference" in row
    # The paper's figures stand beside its own networks, however they were trained.
    assert ("paper_difference" in row) == change.startswith("training")


def test_of_as_many_runs_those_of_the_papers_experiment_decide(tmp_path, ic, repository, sources_of):
    evidence = load_experiment(repository / "configs" / "evidence" / "vgg.yaml")
    for experiment in (evidence, ic):
        for network in ("xvgg8", "compact_vgg_sum_c2"):
            for seed in range(2):
                record = run_record(experiment, network, seed, last=0.5)
                write(tmp_path / "records" / experiment.name / f"{network}-{seed}.json", record)
    row = next(row for row in claims(sources_of([evidence, ic])).rows if row["claim"].startswith("XVGG-8 has 1.06"))
    assert row["experiment"] == "ic"


def test_shorter_runs_however_many_never_stand_in_for_the_papers(tmp_path, ic, repository, sources_of):
    evidence = load_experiment(repository / "configs" / "evidence" / "vgg.yaml")

    def judge():
        rows = claims(sources_of([evidence, ic])).rows
        return next(row for row in rows if row["claim"].startswith("XVGG-8 has 1.06"))

    def train(experiment, seeds, apart):
        for network, accuracy in (("xvgg8", 0.5 + apart), ("compact_vgg_sum_c2", 0.5)):
            for seed in range(seeds):
                record = run_record(experiment, network, seed, last=accuracy + seed / 1000)
                write(tmp_path / "records" / experiment.name / f"{network}-{seed}.json", record)

    train(evidence, seeds=3, apart=-0.05)
    # All planned runs are done, but not those of the paper's experiment.
    row = judge()
    assert (row["experiment"], row["epochs"], row["verdict"]) == ("evidence-vgg", 10, "provisional: contradicted")
    train(ic, seeds=2, apart=0.05)
    row = judge()
    assert (row["experiment"], row["runs"], row["verdict"]) == ("ic", "2 + 2", "provisional: supported")


def test_of_the_papers_experiments_the_one_of_the_command_decides(tmp_path, ic, repository, sources_of):
    larger = load_experiment(repository / "configs" / "ic-224.yaml", ["training.epochs=2"])
    for experiment, seeds in ((ic, 2), (larger, 5)):
        for network in ("xvgg8", "compact_vgg_sum_c2"):
            for seed in range(seeds):
                record = run_record(experiment, network, seed, last=0.5)
                write(tmp_path / "records" / experiment.name / f"{network}-{seed}.json", record)
    row = next(row for row in claims(sources_of([ic, larger])).rows if row["claim"].startswith("XVGG-8 has 1.06"))
    assert (row["experiment"], row["runs"]) == ("ic", "2 + 2")


def test_a_question_has_the_verdict_of_its_contrast(tmp_path, repository, sources_of):
    evidence = load_experiment(repository / "configs" / "evidence" / "mobilenet.yaml")
    last = {
        "compact_mobilenet_sum_c4": 0.70,
        "mobilenet_v1_0525": 0.687,  # p 0.03: significant beside four smaller p-values, not beside one and four gaps
        "compact_mobilenet_sum_c8": 0.60,
        "mobilenet_v1_0397": 0.65,
        "compact_mobilenet_max_c8": 0.50,
        "compact_mobilenet_first_c8": 0.50,
    }
    for name, accuracy in last.items():
        for seed in range(evidence.seeds_of.get(name, 6)):
            record = run_record(evidence, name, seed, last=accuracy + seed % 3 / 100)
            write(tmp_path / "records" / f"{name}-{seed}.json", record)
    sources = sources_of([evidence])
    by_name = {row["contrast"]: row for row in contrasts(sources).rows}
    table = claims(sources)
    rows = {row["claim"]: row for row in table.rows if row.get("experiment") == evidence.name}
    assert len(rows) == 2
    for factor, verdict in ((4, "supported"), (8, "contradicted")):
        row, contrast = (
            rows[f"CompactNet-S (C={factor}) beats a MobileNet v1 of equal FLOPs"],
            by_name[f"squeezed_c{factor}"],
        )
        assert (row["verdict"], row["p_adjusted"]) == (contrast["verdict"], contrast["p_adjusted"])
        assert row["verdict"] == verdict
    assert 'questions, our runs would decide otherwise: "CompactNet-S (C=4)' in table.notes[-1]
    assert "undecided" in table.notes[-1]


def test_results_have_a_row_for_each_network(tmp_path, ic, sources_of):
    for seed in range(2):
        write(tmp_path / "records" / f"{seed}.json", run_record(ic, "xvgg8", seed, last=0.6 + seed / 100))
    rows = {row["network"]: row for row in results(sources_of([ic])).rows}
    assert set(rows) == {network.name for network in ic.networks}
    row = rows["xvgg8"]
    assert (row["accuracy_percent"], row["runs"], row["planned"]) == (pytest.approx(60.5), 2, 5)
    assert row["low"] < 60.5 < row["high"]
    before = row["records_sha256"]
    write(tmp_path / "records" / "1.json", run_record(ic, "xvgg8", 1, last=0.62))
    assert results(sources_of([ic], False)).rows[0]["records_sha256"] != before
    assert len(results(sources_of([ic], False)).rows) == 1


def test_runs_on_several_folds_have_no_interval(tmp_path, repository, sources_of):
    folds = load_experiment(repository / "configs" / "sed-10fold.yaml")
    for fold in (1, 2, 3):
        record = run_record(folds, "xvgg8", fold=f"fold{fold}", last=0.5 + fold / 100)
        write(tmp_path / "records" / f"{fold}.json", record)
    row = next(row for row in results(sources_of([folds])).rows if row["network"] == "xvgg8")
    assert (row["accuracy_percent"], row["runs"], row["low"]) == (pytest.approx(52), 3, None)


def test_the_committed_page_is_what_the_committed_records_give(tmp_path, repository):
    committed = repository / "docs" / "reproduction.md"
    page = tmp_path / "reproduction.md"
    page.write_text(committed.read_text())
    fill_reproduction(page, repository_sources(repository, repository / "results"))
    assert page.read_text() == committed.read_text(), "run `make tables`"


def test_what_readme_and_the_results_page_say_is_in_the_tables(repository):
    sources = repository_sources(repository, repository / "results")
    rows = [*table1(sources).rows, *table2(sources).rows]
    exact = sum(row["params_difference"] == 0 for row in rows)
    digits = sum(f"{row['mflops_counted']:.1f}" == f"{row['mflops_published']:.1f}" for row in rows)
    (fastest,) = (row for row in rows if row["network"] == "compact_vgg_sum_c8")
    readme = " ".join((repository / "README.md").read_text().split())
    page = " ".join((repository / "docs" / "results.md").read_text().split())
    assert f"Parameters are exact in {exact} of {len(rows)} rows" in readme
    assert f"exact in {exact} of {len(rows)} rows" in page
    for text in (readme, page):
        assert f"to the printed digit in {digits} of {len(rows)} rows" in text
    assert f"C=8 runs {fastest['tensorflow_cpu_ratio']:.2f}x as fast as VGG-8" in readme
    assert f"The paper reports {fastest['cpu_ratio_published']:.2f}x" in readme
    ratios = {row["network"]: row["tensorflow_cpu_ratio"] for row in rows}
    assert f"0.5 MobileNet v1 ({ratios['mobilenet_v1_050']:.2f}x) is faster than CompactNet" in readme
    assert f"CompactNet with C=8 ({ratios['compact_mobilenet_sum_c8']:.2f}x)" in readme
