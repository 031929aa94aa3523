"""Records are written and read whole, and anything else is refused with its path."""

import json

import pytest

from compactnet.errors import InputError
from compactnet.experiments import records
from compactnet.experiments.config import load_experiment
from compactnet.schema import FailureRecord
from tests.factories import run_record


@pytest.fixture
def record(repository):
    return run_record(load_experiment(repository / "configs" / "ic.yaml").runs()[0])


def test_a_record_comes_back_as_it_was(tmp_path, record):
    path = tmp_path / "ic" / "n.json"
    records.write_record(path, record)
    assert records.read_record(path) == record
    assert records.read_records(tmp_path) == [record]
    assert [entry.name for entry in path.parent.iterdir()] == ["n.json"]


def test_only_a_record_of_the_same_protocol_means_done(tmp_path, record):
    path = tmp_path / "n.json"
    assert not records.is_done(path, record.protocol_hash)
    records.write_record(path, record)
    assert records.is_done(path, record.protocol_hash)
    assert not records.is_done(path, "0" * 64)


def test_an_altered_a_truncated_and_an_incomplete_record_are_refused(tmp_path, record):
    path, content = tmp_path / "n.json", json.loads(record.model_dump_json())
    for text, reason in (
        (json.dumps(content | {"fingerprint": "other"}), "it was altered"),
        (json.dumps(content | {"history": []}), "history"),
        (json.dumps(content | {"format": 1}), "format.*Received: 1"),
        (json.dumps({key: value for key, value in content.items() if key != "run"}), "the key 'run' is missing"),
        (json.dumps(content)[:-20], "Invalid JSON"),
        (json.dumps(content).replace("0.5", "NaN"), "finite"),
        ("[]", "should be"),
        ("3", "should be"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=f"n.json is not a RunRecord: .*{reason}.* Move it away") as refusal:
            records.read_record(path)
        assert len(refusal.value.lines) == 1


def test_failures_are_read_and_damaged_ones_are_named(tmp_path, record):
    failure = FailureRecord(run=record.run, reason="made up", attempts=2, log="n.log", finished="2020-01-01")
    records.write_record(tmp_path / "n.json", failure)
    assert records.read_failures(tmp_path) == [failure]
    assert records.read_failures(tmp_path / "nowhere") == []
    for text in ("{}", "{"):
        (tmp_path / "n.json").write_text(text)
        with pytest.raises(InputError, match=r"n\.json is not a FailureRecord: .* Delete it"):
            records.read_failures(tmp_path)
