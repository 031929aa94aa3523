"""Speed in tables and figures, from made-up sessions; the figures in them are invented."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.measure.side_by_side import Session
from compactnet.networks import CATALOGUE
from compactnet.report.counts import Counts
from compactnet.report.figures import write_figures
from compactnet.report.speed_records import FAMILIES, newest, read_sessions, write_session
from compactnet.report.speed_tables import base_of
from compactnet.report.tables import read_sources, write_tables
from tests.report.made_up import session as made_up


@pytest.fixture
def write(tmp_path, repository):
    """Write the records of sessions, then Tables I and II and the figures, and return their folder."""

    def write_them(*sessions):
        for session in sessions:
            write_session(tmp_path, session)
        counts = Counts(repository / "results" / "complexity.csv")
        sources = read_sources(tmp_path, [], repository / "results" / "paper", counts)
        write_tables(tmp_path, sources, ("table1", "table2"))
        write_figures(tmp_path, sources)
        return tmp_path

    return write_them


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def by_network(path):
    return {row["network"]: row for row in rows(path)}


def test_a_record_gives_back_its_session(tmp_path):
    session = made_up("vgg8", core=0, threads=1)
    path = write_session(tmp_path, session)
    (read,) = read_sessions(tmp_path)
    assert path.parent == tmp_path / "records" / "speed"
    for field in dataclasses.fields(Session):
        if field.name != "timings":
            assert getattr(read, field.name) == getattr(session, field.name)
    for one, other in zip(read.timings, session.timings, strict=True):
        np.testing.assert_allclose(one.seconds, other.seconds, atol=1e-7)
        assert (one.network, one.flops, one.peak_bytes) == (other.network, other.flops, other.peak_bytes)


def test_the_same_work_on_the_same_machine_has_one_record(tmp_path):
    write_session(tmp_path, made_up("vgg8"))
    write_session(tmp_path, made_up("vgg8", "2020-01-02", scale=2))
    write_session(tmp_path, made_up("vgg8", processor="another"))
    write_session(tmp_path, made_up("vgg8", loaded_core=1))
    sessions = read_sessions(tmp_path)
    assert len(sessions) == 3
    assert "2020-01-02" in [session.finished for session in sessions]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 7}, "its format is 7"),
        ({"networks": []}, "it has no networks"),
        ({"networks": [{"network": "vgg8", "seconds": [[0.0]], "flops": 1, "peak_bytes": None}]}, "no rounds of posit"),
        ({"work": {"kind": "sleep", "input_shape": [1]}}, "`kind` must be one of"),
        ({"environment": {"versions": {}}}, "processor"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, change, reason):
    path = write_session(tmp_path, made_up("vgg8"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=f"{path.name} is not a record of speed.*{reason}"):
        read_sessions(tmp_path)
    path.write_text("{")
    with pytest.raises(InputError, match="is not a record of speed"):
        read_sessions(tmp_path)


def test_tables_1_and_2_set_measured_speed_and_ratio_beside_the_papers(write):
    sessions = [made_up(base, runtime=runtime) for base in FAMILIES for runtime in ("tensorflow", "litert")]
    folder = write(*sessions)
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
    assert "## Speed on the processor, one thread, TensorFlow" in text
    assert "## Speed on the processor, one thread, LiteRT" in text
    assert "ONNX" not in text


def test_a_family_that_was_not_timed_stays_empty(write):
    table = by_network(write(made_up("vgg8")) / "table1.csv")
    assert table["vgg8"]["tensorflow_cpu_ratio"] == "1.00"
    assert table["resnet50"]["tensorflow_cpu_ratio"] == table["resnet50"]["tensorflow_cpu_machine"] == ""
    assert table["resnet50"]["cpu_samples_per_s_published"]


def test_ratios_never_mix_machines_and_the_last_machine_counts(write):
    folder = write(
        made_up("vgg8", "2020-01-01", "slow processor", scale=100),
        made_up("vgg8", "2020-01-02", "fast processor"),
        made_up("resnet50", "2020-01-01", "slow processor", scale=100),
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
def test_other_work_does_not_stand_in_tables_1_and_2(write, work):
    folder = write(made_up("vgg8", **work))
    assert "tensorflow_cpu_ratio" not in by_network(folder / "table1.csv")["vgg8"]
    kind = work.get("kind", "inference")
    (row, *_) = rows(folder / f"speed_{kind}.csv")
    assert row["network"] == "vgg8"
    assert ("peak_memory_MB" in row) == (kind == "training")


def test_a_machine_kept_busy_on_purpose_stands_apart(write):
    folder = write(made_up("vgg8", loaded_core=1))
    assert "tensorflow_cpu_ratio" not in by_network(folder / "table1.csv")["vgg8"]
    assert rows(folder / "speed_inference.csv")[0]["core_kept_busy"] == "1"


def test_a_graphics_processor_has_columns_and_a_panel_of_its_own(write):
    base = "mobilenet_v1_100"
    folder = write(made_up(base), made_up(base, device="gpu"))
    row = by_network(folder / "table2.csv")["mobilenet_v1_100"]
    assert row["tensorflow_gpu_machine"].startswith("made-up GPU")
    assert row["tensorflow_cpu_machine"].startswith("made-up processor")
    assert "## Speed on the graphics processor, TensorFlow" in (folder / "table2.md").read_text()


def test_the_figure_has_the_same_bytes_each_time_and_goes_away_with_its_records(write):
    folder = write(made_up("mobilenet_v1_100"), made_up("mobilenet_v1_100", runtime="litert"))
    before = {ending: (folder / f"figure4.{ending}").read_bytes() for ending in ("png", "svg")}
    assert before["png"].startswith(b"\x89PNG")
    write()
    assert {ending: (folder / f"figure4.{ending}").read_bytes() for ending in ("png", "svg")} == before
    for path in (folder / "records" / "speed").iterdir():
        path.unlink()
    write()
    assert not list(folder.glob("figure4.*"))
    assert not list(folder.glob("speed_*"))


def test_every_network_of_the_papers_speed_columns_has_a_family():
    for base, others in FAMILIES.items():
        assert {base, *others} <= set(CATALOGUE)
        assert base_of(base) == base_of(others[-1]) == base
    with pytest.raises(KeyError, match="vgg9"):
        base_of("vgg9")


def test_a_session_is_found_by_its_work():
    sessions = [made_up("vgg8"), made_up("vgg8", "2020-01-02", scale=2), made_up("vgg8", threads=2)]
    assert newest(sessions, "vgg8", "tensorflow", "cpu") is sessions[1]
    assert newest(sessions, "resnet50", "tensorflow", "cpu") is None
    assert newest(sessions, "vgg8", "jax", "cpu") is None
