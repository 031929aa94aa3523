"""What a sweep concludes from the answers of Slurm, without Slurm."""

import io
import subprocess
from types import SimpleNamespace

import pytest

from compactnet.experiments import slurm
from compactnet.schema import Slurm


@pytest.fixture
def sweep(tmp_path):
    made = slurm._Sweep(None, io.StringIO(), Slurm(), tmp_path, None, 0)
    handles = [
        SimpleNamespace(job_id=name, paths=SimpleNamespace(result_pickle=tmp_path / name)) for name in ("7_0", "7_1")
    ]
    made._submitted = [(None, handle) for handle in handles]
    return made


def answer(monkeypatch, stdout="", stderr="", code=0):
    monkeypatch.setattr(
        slurm.subprocess, "run", lambda *args, **options: subprocess.CompletedProcess(args, code, stdout, stderr)
    )


def result(sweep, number):
    """Return what is known of a job after many polls."""
    for _ in range(2 * slurm.MISSING_POLLS):
        found = sweep._result(sweep._submitted[number][1], sweep._states())
    return found


def test_a_job_that_left_the_queue_was_killed(sweep, monkeypatch):
    answer(monkeypatch, "7_0 RUNNING\n")
    assert result(sweep, 0) is None
    assert result(sweep, 1).kind == "killed"


def test_slurm_forgets_arrays_that_ended(sweep, monkeypatch):
    answer(monkeypatch, stderr="slurm_load_jobs error: Invalid job id specified", code=1)
    assert result(sweep, 0).kind == "killed"


def test_while_slurm_does_not_answer_no_job_is_lost(sweep, monkeypatch):
    answer(monkeypatch, stderr="slurm_load_jobs error: Unable to contact slurm controller", code=1)
    assert result(sweep, 0) is result(sweep, 1) is None
