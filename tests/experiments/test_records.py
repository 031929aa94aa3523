import json

import pytest

from compactnet.errors import InputError
from compactnet.experiments import records
from compactnet.experiments.study import hash_of


def record(**changes):
    protocol = dict.fromkeys(records.PROTOCOL_FIELDS, 0)
    epoch = {"epoch": 1, "test_accuracy": 0.5}
    content = {
        "format": 1,
        "study": "s",
        "network": "n",
        "title": "N",
        "seed": 0,
        "protocol": protocol,
        "protocol_hash": hash_of(protocol),
        "history": [epoch],
        "last": epoch,
        "best": epoch,
        "params": 1,
        "coverage": {},
        "generated_data": False,
        "finished": "2020-01-01",
        "duration_seconds": 1.0,
    }
    return content | changes


def test_a_record_comes_back_as_it_was(tmp_path):
    path = tmp_path / "s" / "n.json"
    records.write_record(path, record())
    assert records.read_record(path) == record()
    assert records.read_records(tmp_path) == [record()]
    assert [entry.name for entry in path.parent.iterdir()] == ["n.json"]


def test_only_a_record_of_the_same_protocol_means_done(tmp_path):
    path = tmp_path / "n.json"
    assert not records.is_done(path, record()["protocol_hash"])
    records.write_record(path, record())
    assert records.is_done(path, record()["protocol_hash"])
    assert not records.is_done(path, hash_of({"seed": 1}))


def test_an_altered_a_truncated_and_an_incomplete_record_are_refused(tmp_path):
    path = tmp_path / "n.json"
    for text, reason in (
        (json.dumps(record(protocol=record()["protocol"] | {"seed": 1})), "was altered"),
        (json.dumps(record(last={"epoch": 1, "test_accuracy": 0.99})), "was altered"),
        (json.dumps(record(history=[])), "A run without epochs"),
        (json.dumps(record(format=99)), "has the format 99"),
        (json.dumps(record(protocol={}, protocol_hash=hash_of({}))), "'network' is missing in its protocol"),
        (json.dumps(record())[:-20], "is not a record"),
        (json.dumps({"format": 1}), "'study' is missing"),
        ("[]", "is missing"),
        ("3", "is not a record"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=reason):
            records.read_record(path)


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(InputError, match="not finite"):
        records.write_record(tmp_path / "n.json", record(last={"test_loss": float("nan")}))
    assert list(tmp_path.iterdir()) == []


def test_the_last_epoch_is_the_figure_and_the_best_stands_apart():
    history = [{"epoch": n, "test_accuracy": accuracy} for n, accuracy in enumerate((0.3, 0.6, 0.5), 1)]
    assert records.summary_of(history) == {"last": history[2], "best": history[1]}
    with pytest.raises(InputError):
        records.summary_of([])
    with pytest.raises(InputError, match="not finite"):
        records.summary_of([{"epoch": 1, "test_accuracy": float("nan")}])
