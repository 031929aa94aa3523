"""Records are written and read whole, and anything else is refused with its path."""

import json

import pytest

from compactnet.errors import InputError
from compactnet.experiments import records
from compactnet.experiments.config import load_experiment
from compactnet.schema import FailureRecord, Job
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


def job_of(record, folder, **changes):
    run = record.run.model_copy(update=changes)
    return Job(run=run, protocol_hash=record.protocol_hash, data_folder=folder, results_folder=folder)


def test_only_a_record_of_the_same_protocol_means_done(tmp_path, record):
    job = job_of(record, tmp_path)
    assert not records.is_done(job)
    records.write_record(job.record, record)
    assert records.is_done(job)
    other = job.model_copy(update={"protocol_hash": "0" * 64})
    assert not records.is_done(other)
    records.write_record(other.record, record)
    assert not records.is_done(other)


def test_a_run_that_another_experiment_has_done_is_done_on_official_data(tmp_path, record):
    records.write_record(job_of(record, tmp_path).record, record)
    assert records.is_done(job_of(record, tmp_path, experiment="other"))
    generated = record.run.data.model_copy(update={"generated": True})
    assert not records.is_done(job_of(record, tmp_path, experiment="other", data=generated))
    assert not records.is_done(job_of(record, tmp_path, experiment="other", seed=7))


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
