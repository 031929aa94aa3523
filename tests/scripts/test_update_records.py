"""Records of format 1 are rewritten once, and keep their protocol's hash."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from compactnet.experiments.records import read_failures, read_record
from compactnet.files import write_npz
from compactnet.measure.feature_maps import read_feature_maps
from compactnet.schema import Experiment
from compactnet.validation import validate
from tests.factories import run_record
from tests.scripts.calls import call

DATA = ({"source": "cifar10", "train_samples": 100}, {"source": "urbansound8k", "test_folds": [7]})


def record_of(data):
    content = {"name": "old", "data": data, "networks": ["compact_vgg_sum_c2"], "training": {"epochs": 2}, "seeds": [3]}
    resumed = [{"from_epoch": 2, "environment": {"processor": "invented"}}]
    return run_record(validate(Experiment, content, "test").runs()[0], resumed=resumed)


def old_run(record):
    """What format 1 said of a run."""
    run = record.run
    return {
        "format": 1,
        "study": run.experiment,
        "network": run.network.name,
        "seed": run.seed,
        "protocol": run.protocol(record.fingerprint),
    }


def old_record(record):
    content = json.loads(record.model_dump_json(exclude={"format", "run", "fingerprint"}))
    more = {"title": record.run.network.title, "config": {}, "generated_data": False}
    return {**old_run(record), **content, **more, "went_on": content.pop("resumed")}


@pytest.mark.parametrize("data", DATA, ids=lambda data: data["source"])
def test_a_record_is_rewritten_with_its_hash(tmp_path, capsys, data):
    record = record_of(data)
    path = tmp_path / "records" / "old" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(old_record(record)))
    failure = {"reason": "it was killed", "attempts": 2, "log": "a.log", "finished": "2020-01-01"}
    (tmp_path / "failures").mkdir()
    (tmp_path / "failures" / "a.json").write_text(json.dumps({**old_run(record), **failure}))
    assert call("update_records", "--results", tmp_path) == 0
    assert capsys.readouterr().out == "2 files updated.\n"
    assert read_record(path).model_dump_json() == record.model_dump_json()
    (failed,) = read_failures(tmp_path / "failures")
    assert failed.run.budget == record.run.budget
    assert failed.model_dump(include=set(failure)) == failure
    assert call("update_records", "--results", tmp_path) == 0
    assert capsys.readouterr().out == "0 files updated.\n"


def test_feature_maps_are_rewritten(tmp_path, capsys):
    facts = {
        "study": "old",
        "network": "compact_vgg_sum_c2",
        "title": "VGG-like",
        "data": "UrbanSound8K",
        "generated_data": False,
        "protocol_hash": "0" * 64,
        "weights_sha256": "1" * 64,
        "seed": 3,
        "clips": "640 of 7,895",
        "epochs": 5,
        "sample": 0,
        "label": "siren",
        "group": 4,
        "seconds": 4.0,
        "bands": 128,
    }
    maps = np.arange(12, dtype=np.float16).reshape(2, 2, 3)
    arrays = {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8), "maps": maps}
    write_npz(tmp_path / "records" / "feature_maps.npz", arrays)
    assert call("update_records", "--results", tmp_path) == 0
    assert capsys.readouterr().out == "1 files updated.\n"
    shown = read_feature_maps(tmp_path / "records")
    assert shown.experiment == facts.pop("study")
    assert shown.model_dump(include=set(facts)) == facts
    np.testing.assert_array_equal(shown.maps, maps)
    assert call("update_records", "--results", tmp_path) == 0
    assert capsys.readouterr().out == "0 files updated.\n"


@pytest.mark.parametrize("content", [b"{", b"3", b'{"study": "a"}', b"\xff"])
def test_what_is_no_record_is_named(tmp_path, capsys, content):
    path = tmp_path / "records" / "a.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert call("update_records", "--results", tmp_path) == 2
    error = capsys.readouterr().err
    assert f"{path} is not a record of format 1" in error
    assert len(error.splitlines()) == 1


def assert_refused(capsys, folder, expected):
    assert call("update_records", "--results", folder) == 2
    output, error = capsys.readouterr()
    assert (output, error.count("\n")) == ("", 1)
    assert expected in error


def test_a_results_folder_that_does_not_exist(tmp_path, capsys):
    assert_refused(capsys, tmp_path / "typo", f"The results folder {tmp_path / 'typo'} does not exist")
    assert not (tmp_path / "typo").exists()


def test_a_record_that_cannot_be_read(tmp_path, capsys):
    # Root may read every file, but no folder.
    path = tmp_path / "records" / "a.json"
    path.mkdir(parents=True)
    assert_refused(capsys, tmp_path, f"{path} cannot be read: Is a directory")


def test_a_record_that_cannot_be_written_is_not_said_to_be_bad(tmp_path, capsys, monkeypatch):
    path = tmp_path / "records" / "a.json"
    path.parent.mkdir()
    path.write_text(json.dumps(old_record(record_of(DATA[0]))))

    def refuse(self, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    assert_refused(capsys, tmp_path, f"error: Cannot write {path}: Permission denied")


def test_a_record_that_was_altered_is_not_rewritten(tmp_path, capsys):
    old = old_record(record_of(DATA[0]))
    old["protocol"]["training"]["epochs"] = 3
    path = tmp_path / "records" / "old" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(old))
    assert call("update_records", "--results", tmp_path) == 2
    assert "it was altered" in capsys.readouterr().err
    assert json.loads(path.read_text()) == old
