"""Speed in tables and figures, from made-up records, whose values are invented."""

import csv

import pytest

from compactnet.measure.conventions import ASC_INPUT
from compactnet.measure.counts import CountCache
from compactnet.measure.speed_records import FAMILIES, write_speed_record
from compactnet.report.figures import write_figures
from compactnet.report.published import networks, published_speeds, published_speedup
from compactnet.report.sources import read_sources
from compactnet.report.tables import select_tables, write_tables
from compactnet.report.tables.speed_columns import BASELINES
from tests.report.factories import speed_record


@pytest.fixture
def read(tmp_path, repository):
    """Write speed records and return the sources of their folder."""

    def write_them(*records):
        for record in records:
            write_speed_record(tmp_path, record)
        counts = CountCache(repository / "results" / "complexity.csv")
        return read_sources(tmp_path, [], repository / "results" / "paper", counts)

    return write_them


@pytest.fixture
def tables_of(read, tmp_path):
    """Write Tables I and II and those of all benchmarks, and return their folder."""

    def write_them(*records):
        write_tables(tmp_path, read(*records), select_tables(["table1", "table2"]))
        return tmp_path

    return write_them


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def by_network(path):
    return {row["network"]: row for row in rows(path)}


def test_tables_1_and_2_have_measured_speed_and_ratio_next_to_the_papers(tables_of):
    folder = tables_of(
        *(speed_record(base, runtime=runtime) for base in FAMILIES for runtime in ("tensorflow", "litert"))
    )
    row = by_network(folder / "table1.csv")["compact_vgg_sum_c8"]
    assert float(row["cpu_samples_per_s_published"]) == 3.32
    assert row["cpu_ratio_published"] == "1.95"
    assert row["gpu_ratio_published"] == "1.23"
    assert row["flops_ratio"] == "4.03"
    # Fifth of its family: five times as fast; the median of all six calls of the first is 0.16 s.
    assert row["tensorflow_cpu_ratio"] == row["litert_cpu_ratio"] == "5.00"
    assert float(row["tensorflow_cpu_samples_per_s"]) == pytest.approx(5 / 0.16, abs=0.01)
    assert row["litert_cpu_machine"] == "made-up processor, 1 thread, any core, ai-edge-litert 2.3.0, keras 3.15.1"
    assert len(rows(folder / "table1.csv")) == 15
    efficient = by_network(folder / "table2.csv")
    assert len(efficient) == 5
    assert efficient["mobilenet_v1_100"]["tensorflow_cpu_ratio"] == "1.00"
    assert all(row["tensorflow_cpu_samples_per_s"] for row in efficient.values())
    text = (folder / "table1.md").read_text()
    assert "## Speed on the CPU, one thread, TensorFlow" in text
    assert "## Speed on the CPU, one thread, LiteRT" in text
    assert "ONNX" not in text


def test_exported_files_have_columns_of_their_own(tables_of):
    folder = tables_of(
        speed_record("vgg8", "2020-01-01"),
        *(
            speed_record("vgg8", "2020-01-02", runtime=runtime, deployed=True, precision=precision, scale=0.5)
            for runtime, precision in (("litert", "float32"), ("litert", "int8"), ("openvino", "int8"))
        ),
    )
    row = by_network(folder / "table1.csv")["compact_vgg_sum_c8"]
    assert float(row["tensorflow_cpu_samples_per_s"]) == pytest.approx(5 / 0.16, abs=0.01)
    assert float(row["litert_deployed_int8_samples_per_s"]) == pytest.approx(10 / 0.16, abs=0.01)
    assert "litert_cpu_ratio" not in row
    text = (folder / "table1.md").read_text()
    for runtime, precision in (("LiteRT", "float32"), ("LiteRT", "int8"), ("OpenVINO", "int8")):
        assert f"## Speed as deployed on the CPU, one thread, {runtime}, {precision}" in text
    assert {row["precision"] for row in rows(folder / "speed_inference.csv")} == {"", "float32", "int8"}


def test_a_family_that_was_not_timed_is_empty(tables_of):
    table = by_network(tables_of(speed_record("vgg8")) / "table1.csv")
    assert table["vgg8"]["tensorflow_cpu_ratio"] == "1.00"
    assert table["resnet50"]["tensorflow_cpu_ratio"] == table["resnet50"]["tensorflow_cpu_machine"] == ""
    assert table["resnet50"]["cpu_samples_per_s_published"]


def test_ratios_never_mix_machines_and_the_last_machine_counts(tables_of):
    folder = tables_of(
        speed_record("vgg8", "2020-01-01", "slow processor", scale=100),
        speed_record("vgg8", "2020-01-02", "fast processor"),
        speed_record("resnet50", "2020-01-01", "slow processor", scale=100),
    )
    table = by_network(folder / "table1.csv")
    assert table["xvgg8"]["tensorflow_cpu_ratio"] == table["compact_resnet_sum_c2"]["tensorflow_cpu_ratio"] == "2.00"
    assert table["xvgg8"]["tensorflow_cpu_machine"].startswith("fast")
    assert table["resnet50"]["tensorflow_cpu_machine"].startswith("slow")
    assert len(rows(folder / "speed_inference.csv")) == 5 + 5 + 4
    assert {row["ratio"] for row in rows(folder / "speed_inference.csv") if row["network"] == "xvgg8"} == {"2.00"}


@pytest.mark.parametrize(
    "work", [{"threads": 2}, {"batch_size": 8}, {"input_shape": (32, 32, 3)}, {"kind": "training"}]
)
def test_other_work_is_not_in_tables_1_and_2(tables_of, work):
    folder = tables_of(speed_record("vgg8", **work))
    assert "tensorflow_cpu_ratio" not in by_network(folder / "table1.csv")["vgg8"]
    kind = work.get("kind", "inference")
    (row, *_) = rows(folder / f"speed_{kind}.csv")
    assert row["network"] == "vgg8"
    assert ("peak_memory_MB" in row) == (kind == "training")


def test_a_machine_kept_busy_on_purpose_is_not_in_tables_1_and_2(tables_of):
    folder = tables_of(speed_record("vgg8", loaded_core=1))
    assert "tensorflow_cpu_ratio" not in by_network(folder / "table1.csv")["vgg8"]
    assert rows(folder / "speed_inference.csv")[0]["core_kept_busy"] == "1"


def test_a_gpu_has_separate_columns(tables_of):
    folder = tables_of(speed_record("mobilenet_v1_100"), speed_record("mobilenet_v1_100", device="gpu"))
    row = by_network(folder / "table2.csv")["mobilenet_v1_100"]
    assert row["tensorflow_gpu_machine"].startswith("made-up GPU")
    assert row["tensorflow_cpu_machine"].startswith("made-up processor")
    assert "## Speed on the GPU, TensorFlow" in (folder / "table2.md").read_text()


def test_figure4_has_the_same_bytes_each_time_and_is_removed_without_records(read, tables_of, tmp_path):
    write_figures(tmp_path, read(speed_record("mobilenet_v1_100"), speed_record("mobilenet_v1_100", runtime="litert")))
    before = {ending: (tmp_path / f"figure4.{ending}").read_bytes() for ending in ("png", "svg")}
    assert before["png"].startswith(b"\x89PNG")
    write_figures(tmp_path, read())
    assert {ending: (tmp_path / f"figure4.{ending}").read_bytes() for ending in ("png", "svg")} == before
    assert list(tables_of().glob("speed_*"))
    for path in (tmp_path / "records" / "speed").iterdir():
        path.unlink()
    assert write_figures(tmp_path, read()) == []
    assert not list(tmp_path.glob("figure4.*"))
    assert not list(tables_of().glob("speed_*"))


@pytest.mark.parametrize(
    ("change", "ratio"),
    [({}, 1.89), ({"batch_size": 2}, None), ({"input_shape": (32, 32, 3)}, None), ({"kind": "training"}, None)],
)
def test_the_papers_ratio_stands_beside_what_the_paper_timed(repository, change, ratio):
    record = speed_record("vgg8", **{"kind": "inference", "runtime": "tensorflow", "input_shape": ASC_INPUT, **change})
    (xvgg8,) = (timings for timings in record.networks if timings.network == "xvgg8")
    found = published_speedup(published_speeds(repository / "results" / "paper"), record, xvgg8)
    assert found == (ratio and pytest.approx(ratio, abs=0.01))


def test_every_network_of_the_speed_columns_has_a_baseline(repository):
    for table in ("table1", "table2"):
        assert set(networks(repository / "results" / "paper", table)) <= BASELINES.keys()
    assert all(BASELINES[baseline] == baseline for baseline in FAMILIES)
