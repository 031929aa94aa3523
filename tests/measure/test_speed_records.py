"""Records of benchmarks: written, read, replaced and found."""

import json

import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.measure.speed_records import FAMILIES, PAPER_WORK, newest, read_speed_records, write_speed_record
from compactnet.networks import CATALOGUE
from compactnet.schema import SpeedRecord
from tests.report.factories import speed_record


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = speed_record("vgg8", core=0, threads=1)
    path = write_speed_record(tmp_path, record)
    assert path.parent == tmp_path / "records" / "speed"
    assert read_speed_records(tmp_path) == [record]


def test_the_same_work_on_the_same_machine_has_one_record(tmp_path):
    write_speed_record(tmp_path, speed_record("vgg8"))
    write_speed_record(tmp_path, speed_record("vgg8", "2020-01-02", scale=2))
    write_speed_record(tmp_path, speed_record("vgg8", processor="another"))
    write_speed_record(tmp_path, speed_record("vgg8", loaded_core=1))
    records = read_speed_records(tmp_path)
    assert len(records) == 3
    assert "2020-01-02" in [record.finished for record in records]


def test_a_part_of_a_family_neither_replaces_the_whole_nor_takes_its_place(tmp_path):
    whole = speed_record("vgg8")
    part = whole.model_copy(update={"networks": whole.networks[:2], "finished": "2020-01-03"})
    for record in (whole, part):
        write_speed_record(tmp_path, record)
    records = read_speed_records(tmp_path)
    assert records == [whole, part]
    work = {"runtime": "tensorflow", "device": "cpu", **PAPER_WORK}
    assert newest(records, "vgg8", **work) == whole
    # More networks than those of the family do not count.
    more = part.networks[1].model_copy(update={"network": "another"})
    larger = whole.model_copy(update={"networks": (*whole.networks, more), "finished": "2019-01-01"})
    assert newest([larger, *records], "vgg8", **work) == whole


def test_a_benchmark_that_is_repeated_replaces_the_committed_record(tmp_path, repository):
    for path in sorted((repository / "results" / "records" / "speed").glob("*.json"))[::10]:
        record = SpeedRecord.model_validate_json(path.read_text())
        assert write_speed_record(tmp_path, record).name == path.name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 7}, "format: .*7"),
        ({"networks": []}, "networks: "),
        ({"networks": [{"network": "vgg8", "seconds": [[0.0]], "flops": 1, "peak_bytes": None}]}, "seconds.*greater"),
        ({"work": {"kind": "sleep", "input_shape": [1, 1, 1]}}, "work.kind: "),
        ({"environment": {"cpu": "x"}}, "environment.cpu"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, change, reason):
    path = write_speed_record(tmp_path, speed_record("vgg8"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=f"{path.name} is not a SpeedRecord: .*{reason}"):
        read_speed_records(tmp_path)
    path.write_text("{")
    with pytest.raises(InputError, match="is not a SpeedRecord"):
        read_speed_records(tmp_path)


def test_a_ratio_is_the_median_of_the_ratios_of_rounds():
    timings = speed_record("vgg8").networks[0]
    fast = timings.model_copy(update={"seconds": ((0.1,), (0.2,), (0.9,))})
    slow = timings.model_copy(update={"seconds": ((0.2,), (0.8,), (0.9,))})
    ratio, low, high = fast.speedup(slow)
    assert (ratio, low, high) == pytest.approx((2, 1, 4))
    assert ratio != pytest.approx(np.median(slow.seconds) / np.median(fast.seconds))


def test_every_family_is_in_the_catalogue():
    for baseline, others in FAMILIES.items():
        assert {baseline, *others} <= set(CATALOGUE)


def test_the_newest_record_of_the_papers_work_is_found():
    records = [speed_record("vgg8"), speed_record("vgg8", "2020-01-02", scale=2), speed_record("vgg8", threads=2)]
    assert newest(records, "vgg8", runtime="tensorflow", device="cpu", **PAPER_WORK) is records[1]
    assert newest(records, "resnet50", runtime="tensorflow", device="cpu", **PAPER_WORK) is None
    assert newest(records, "vgg8", runtime="jax", device="cpu", **PAPER_WORK) is None
