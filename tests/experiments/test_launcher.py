"""What a sweep does with jobs that fail, are killed, or belong to another sweep; these jobs are small programs."""

import contextlib
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from compactnet.errors import InputError
from compactnet.experiments import launcher, tracker
from compactnet.experiments.job import STATUS, wait
from compactnet.experiments.records import read_failures
from compactnet.files import file_lock
from compactnet.schema import Experiment, Job
from compactnet.validation import validate

PROGRAM = """
import json, os, pathlib, sys
job = json.loads(sys.stdin.readline())
attempts = pathlib.Path(job["attempts"])
attempts.parent.mkdir(parents=True, exist_ok=True)
with attempts.open("a") as file:
    file.write("x")
attempt = len(attempts.read_text())
record = pathlib.Path(job["record"])
def finish():
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("done")
def fail(reason, status):
    print(json.dumps({"event": "failed", "reason": reason}))
    sys.exit(status)
exec(job["program"])
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A function that runs jobs in a sweep, see `sweep_in`."""
    return sweep_in(tmp_path, monkeypatch)


def sweep_in(tmp_path, monkeypatch, new_stream=io.StringIO):
    """Return a function that runs jobs {name: program} in a sweep.

    It returns the sweep's result, what it printed and how often each job was attempted.
    """
    programs = {}

    @contextlib.contextmanager
    def start(command, device=None):
        job = Job.model_validate_json(command.job)
        name = job.run.network.name
        paths = {"record": job.record, "checkpoints": job.checkpoints, "lock": job.lock}
        paths["attempts"] = tmp_path / "attempts" / name
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        told = {"program": programs[name], **{key: str(path) for key, path in paths.items()}}
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    monkeypatch.setattr(launcher, "start", start)
    monkeypatch.setattr(launcher, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(tracker.records, "is_done", lambda job: job.record.exists())

    def job_of(name):
        content = {"name": "made-up", "data": {"source": "cifar10"}, "training": {"epochs": 3}, "seeds": [0]}
        networks = [{"name": name, "base": "xvgg8"}]
        (run,) = validate(Experiment, {**content, "networks": networks}, "test").runs()
        return Job(run=run, protocol_hash="0" * 64, data_folder=tmp_path, results_folder=tmp_path)

    def run(new_programs, workers=2):
        programs.update(new_programs)
        stream = new_stream()
        result = launcher.launch([job_of(name) for name in new_programs], stream, workers)
        counts = {path.name: len(path.read_text()) for path in (tmp_path / "attempts").glob("*")}
        return result, stream.getvalue(), counts

    run.job = job_of
    return run


def test_every_run_is_trained_once(sweep):
    result, printed, counts = sweep({f"run{number}": "finish()" for number in range(7)}, workers=3)
    assert (result.done, result.skipped, result.failed) == (7, 0, ())
    assert set(counts.values()) == {1}
    assert "7/7" in printed
    assert "0 failed" in printed
    result, _, counts = sweep({f"run{number}": "finish()" for number in range(8)}, workers=3)
    assert (result.done, result.skipped) == (1, 7)
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("program", ["raise SystemExit('boom')", "fail('MemoryError: full', 1)", "sys.exit(77)"])
def test_a_job_that_fails_is_tried_once_more_then_recorded_and_stops_no_other(sweep, tmp_path, program):
    result, printed, counts = sweep({"bad": program, "good": "finish()", "better": "finish()"})
    assert result.done == 2
    assert counts == {"bad": 2, "good": 1, "better": 1}
    ((title, reason),) = result.failed
    assert title == "bad seed 0"
    (failure,) = read_failures(tmp_path / "failures")
    assert (failure.reason, failure.attempts) == (reason, 2)
    assert failure.run == sweep.job("bad").run
    assert failure.log.startswith("bad-")
    assert "bad seed 0 failed" in printed
    assert "1 failed" in printed


def test_a_job_that_fails_once_is_done_in_the_end_and_its_failure_is_forgotten(sweep):
    failure = sweep.job("shaky").failure
    failure.parent.mkdir(parents=True)
    failure.write_text("{}")
    result, printed, counts = sweep({"shaky": "finish() if attempt == 2 else sys.exit(1)"})
    assert (result.done, result.failed) == (1, ())
    assert counts == {"shaky": 2}
    assert "It is tried again" in printed
    assert not failure.exists()


def test_a_killed_job_continues_as_long_as_its_checkpoint_advances(sweep):
    program = """
folder = pathlib.Path(job["checkpoints"])
folder.mkdir(parents=True, exist_ok=True)
(folder / f"epoch-{attempt:04}.npz").write_text("")
finish() if attempt == 12 else os.kill(os.getpid(), 9)
"""
    result, printed, counts = sweep({"unlucky": program})
    assert (result.done, counts) == (1, {"unlucky": 12})
    assert "ended by SIGKILL" in printed


def test_a_job_that_is_killed_without_progress_fails_in_the_end(sweep):
    result, _, counts = sweep({"stuck": "os.kill(os.getpid(), 9)", "good": "finish()"})
    assert result.done == 1
    assert counts["stuck"] == tracker.MAX_KILLS
    assert "SIGKILL 5 times in a row without a new epoch" in result.failed[0][1]


def test_unusable_data_stop_everything_in_one_line(sweep):
    with pytest.raises(InputError, match="first seed 0: no such folder") as refusal:
        sweep({"first": f"fail('no such folder', {STATUS['bad input']})", "long": "import time; time.sleep(60)"})
    assert len(refusal.value.lines) == 1


def test_checkpoints_of_a_run_that_is_done_stay_while_another_process_writes_them(sweep):
    job = sweep.job("done")
    for path in (job.record, job.checkpoints / "epoch-0001.npz"):
        path.parent.mkdir(parents=True)
        path.write_text("")
    with file_lock(job.lock):
        sweep({"done": "finish()"})
        assert job.checkpoints.exists()
    sweep({"done": "finish()"})
    assert not job.checkpoints.exists()


def test_the_time_left_of_a_resumed_run_counts_the_steps_made_now(sweep):
    job = sweep.job("resumed")
    shown = launcher._Sweep(launcher.Tracker([job]), io.StringIO(), 1)
    with shown._new_bar(total=None, desc="resumed", unit="step") as bar:
        event = {"event": "step", "steps": 100, "epoch": 3, "loss": 1.0, "accuracy": 0.5}
        shown._show_event(job, bar, event | {"done": 210})
        assert (bar.initial, bar.n, bar.total) == (200, 210, 300)
        assert bar.last_print_n >= 200
        shown._show_event(job, bar, event | {"done": 230})
        assert (bar.initial, bar.n) == (200, 230)


def test_two_sweeps_share_the_work(sweep):
    programs = {f"run{number}": "import time; time.sleep(0.2); finish()" for number in range(8)}
    # Real jobs hold their lock themselves, and then look whether the run is done.
    held = f"""
import fcntl
lock = open(job['lock'], 'ab')
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit({STATUS["busy"]})
if record.exists():
    sys.exit({STATUS["done"]})
"""
    sweep.job("run0").lock.parent.mkdir(parents=True)
    programs = {
        title: held + "done = pathlib.Path(job['record'] + '.times')\n"
        "done.parent.mkdir(parents=True, exist_ok=True)\n"
        "with done.open('a') as file: file.write('x')\n" + program
        for title, program in programs.items()
    }
    results = []
    other = threading.Thread(target=lambda: results.append(sweep(programs)))
    other.start()
    time.sleep(0.3)
    results.append(sweep(programs))
    other.join()
    for result, _, _ in results:
        assert result.failed == ()
        assert result.done + result.skipped == 8
    # An attempt that found the lock taken did no work.
    assert [path.read_text() for path in sweep.job("run0").record.parent.glob("*.times")] == ["x"] * 8


def test_a_run_of_another_sweep_is_waited_for_and_taken_over_if_that_dies(sweep):
    job = sweep.job("taken")
    results = []
    with file_lock(job.lock):
        thread = threading.Thread(target=lambda: results.append(sweep({"taken": "finish()", "free": "finish()"})))
        thread.start()
        deadline = time.monotonic() + 300
        while not sweep.job("free").record.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sweep.job("free").record.exists()
        assert not job.record.exists()
        assert thread.is_alive()
    thread.join(300)
    ((result, _, counts),) = results
    assert (result.done, counts) == (2, {"taken": 1, "free": 1})


def test_an_event_cut_short_by_a_kill_is_passed_over():
    lines = ['{"event": "note", "text": "whole"}', '{"event": "no']
    program = f"print({lines[0]!r}); print({lines[1]!r}, end='', flush=True); import os; os.kill(os.getpid(), 9)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        seen = []
        ended = wait(process, "log", seen.append)
    assert [event["text"] for event in seen] == ["whole"]
    assert ended.kind == "killed"


GROWTH = """
import contextlib, io, pathlib, re, sys
import pytest
from tests.experiments import test_launcher as tests

class Nowhere(io.StringIO):
    def write(self, text):
        return len(text)

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

with pytest.MonkeyPatch.context() as patch:
    run = tests.sweep_in(pathlib.Path(sys.argv[1]), patch, Nowhere)
    events = "[print(json.dumps({'event': 'note', 'text': 'x' * 1000})) for _ in range(100)]; finish()"
    run({f"first{number}": events for number in range(10)})
    before = resident()
    result, _, _ = run({f"later{number}": events for number in range(50)})
    print(result.done, resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell a process's memory")
def test_the_parents_memory_does_not_grow_with_the_runs(tmp_path, repository):
    # In a process of its own: the other tests' libraries keep threads that take memory when they like.
    ran = subprocess.run(
        [sys.executable, "-c", GROWTH, tmp_path], cwd=repository, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    done, kilobytes = map(int, ran.stdout.split())
    assert done == 50
    assert kilobytes < 1_000
