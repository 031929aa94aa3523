"""What a sweep concludes from the answers of Slurm, without Slurm."""

import contextlib
import io
import signal
import subprocess
from types import SimpleNamespace

import pytest

from compactnet.experiments import job, slurm
from compactnet.experiments.job import JobResult
from compactnet.files import file_lock
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


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_an_interrupt_waits_until_what_was_submitted_is_known(handler):
    submitted, before = [], signal.signal(signal.SIGINT, handler)
    ends = contextlib.nullcontext() if handler is signal.SIG_IGN else pytest.raises(KeyboardInterrupt)
    try:
        with ends, slurm._held_interrupt():
            signal.raise_signal(signal.SIGINT)
            submitted.append("7_0")
        assert submitted
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_job_out_of_time_is_requeued_only_with_a_new_checkpoint(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    task, checkpoints = job.ClusterTask(), tmp_path / "checkpoints"
    command = job.Command("{}", "jax", 1, tmp_path / "log", checkpoints)

    def run(epochs):
        """Run a job that ends after some epochs, and say whether it is requeued."""

        @contextlib.contextmanager
        def start(command):
            checkpoints.mkdir(exist_ok=True)
            for epoch in epochs:
                (checkpoints / f"epoch-{epoch:04}.npz").touch()
            yield

        monkeypatch.setattr(job, "start", start)
        monkeypatch.setattr(job, "wait", lambda process, log: None)
        task(command)
        return task.checkpoint(command) is not None

    assert [run([1]), run([]), run([2, 3]), run([3])] == [True, False, True, False]


def test_a_job_that_is_not_requeued_was_killed(tmp_path, monkeypatch):
    """Submitit's handler of the signal ends such a job by an error, wherever it is."""
    utils = pytest.importorskip("submitit.core.utils")
    command = job.Command("{}", "jax", 1, tmp_path / "log", tmp_path / "checkpoints")

    def wait(process, log):
        raise utils.UncompletedJobError("Job not requeued because: checkpoint function returned None.")

    monkeypatch.setattr(job, "start", lambda command: contextlib.nullcontext())
    monkeypatch.setattr(job, "wait", wait)
    assert job.ClusterTask()(command) == JobResult("killed", "it was preempted or out of time")


def test_what_a_node_raised_is_the_reason(sweep, monkeypatch):
    answer(monkeypatch)
    handle = sweep._submitted[0][1]
    handle.paths.result_pickle.touch()
    text = (
        "Job (task=0) failed during processing with trace:\n-----\nTraceback\nValueError: no\n\n-----\nlogs:\n  - a.out"
    )

    def raised():
        raise RuntimeError(text)

    handle.result = raised
    assert result(sweep, 0) == JobResult("failed", "ValueError: no")
    text = "Job 7_0 has not produced any output"
    assert result(sweep, 0) == JobResult("failed", text)


class Cluster(slurm._Sweep):
    """A sweep whose jobs end as soon as they are submitted, in the ways that `outcomes` says, poll by poll."""

    def __init__(self, tmp_path, outcomes):
        job = SimpleNamespace(title="a run", lock=tmp_path / "lock", log=tmp_path / "log")
        tracker = SimpleNamespace(
            pending=[job],
            total=1,
            failed=[],
            is_done=lambda job: self.recorded,
            record_result=lambda job, result: result.kind,
        )
        self.recorded, self.polls, self.submissions = False, 0, []
        super().__init__(tracker, io.StringIO(), Slurm(), tmp_path, None, 0)
        self._outcomes = outcomes

    def _submit(self, jobs):
        self.submissions.append(self.polls)
        self._submitted += [(job, SimpleNamespace(job_id="7_0")) for job in jobs]

    def _result(self, handle, states):
        return JobResult(self._outcomes.pop(0))

    def _states(self):
        return {}

    def _cancel(self):
        pass


@pytest.mark.parametrize("finished", [False, True])
def test_a_run_that_another_sweep_trains_is_submitted_again_only_when_that_one_drops_it(
    tmp_path, monkeypatch, finished
):
    cluster = Cluster(tmp_path, ["busy", "done"])
    lock = file_lock(tmp_path / "lock")

    def poll(seconds):
        cluster.polls += 1
        if cluster.polls == 5:
            cluster.recorded = finished
            lock.__exit__(None, None, None)

    monkeypatch.setattr(slurm.time, "sleep", poll)
    lock.__enter__()
    cluster.run()
    assert cluster.submissions == ([0] if finished else [0, 5])
    assert cluster._stream.getvalue().count("another process trains it") == 1
