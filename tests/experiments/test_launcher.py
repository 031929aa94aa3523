"""What a grid does with jobs that fail, die, or are in other hands; the jobs here are small programs, not trainings."""

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
from compactnet.experiments import launcher, ledger
from compactnet.experiments.job import STATUS, follow
from compactnet.experiments.records import PROTOCOL_FIELDS
from compactnet.files import locked

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

FILES = ("record", "checkpoint_folder", "lock", "log", "attempts")


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """A function that runs jobs in a grid, see `grid_in`."""
    return grid_in(tmp_path, monkeypatch)


def grid_in(tmp_path, monkeypatch, new_stream=io.StringIO):
    """Return a function that runs jobs {title: program} in a grid.

    It returns the grid's outcome, what it said and how often each was attempted.
    """

    @contextlib.contextmanager
    def started(job, device=None):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    monkeypatch.setattr(launcher, "started", started)
    monkeypatch.setattr(launcher, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(ledger.records, "is_done", lambda path, _: Path(path).exists())

    def job(title, program):
        return {
            "title": title,
            "program": program,
            "protocol_hash": "hash",
            "config": {"name": "made up", "training": {"epochs": 3}},
            "network": "none",
            "seed": 0,
            "protocol": dict.fromkeys(PROTOCOL_FIELDS),
            **{
                name: str(tmp_path / name / title)
                for name in ("record", "checkpoint_folder", "lock", "log", "attempts")
            },
            "failure": str(tmp_path / "failure" / f"{title}.json"),
        }

    def run(programs, workers=2):
        stream = new_stream()
        outcome = launcher.launch([job(*item) for item in programs.items()], stream, workers)
        counts = {path.name: len(path.read_text()) for path in (tmp_path / "attempts").glob("*")}
        return outcome, stream.getvalue(), counts

    run.job = job
    run.folder = tmp_path
    return run


def test_every_cell_is_run_once(grid):
    outcome, said, counts = grid({f"cell{number}": "finish()" for number in range(7)}, workers=3)
    assert (outcome.done, outcome.skipped, outcome.failed) == (7, 0, ())
    assert set(counts.values()) == {1}
    assert "7/7" in said
    assert "0 failed" in said
    outcome, _, counts = grid({f"cell{number}": "finish()" for number in range(8)}, workers=3)
    assert (outcome.done, outcome.skipped) == (1, 7)
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("program", ["raise SystemExit('boom')", "fail('MemoryError: full', 1)", "sys.exit(77)"])
def test_a_job_that_fails_is_tried_once_more_then_recorded_and_stops_no_other(grid, program):
    outcome, said, counts = grid({"bad": program, "good": "finish()", "better": "finish()"})
    assert outcome.done == 2
    assert counts == {"bad": 2, "good": 1, "better": 1}
    ((title, reason),) = outcome.failed
    assert title == "bad"
    failure = json.loads((grid.folder / "failure" / "bad.json").read_text())
    assert failure["reason"] == reason
    assert failure["attempts"] == 2
    assert ledger.read_failures(grid.folder / "failure") == [failure]
    assert failure["log"]
    assert "bad failed" in said
    assert "1 failed" in said


def test_a_job_that_fails_once_is_done_in_the_end_and_its_failure_is_forgotten(grid):
    (grid.folder / "failure").mkdir()
    (grid.folder / "failure" / "shaky.json").write_text("{}")
    outcome, said, counts = grid({"shaky": "finish() if attempt == 2 else sys.exit(1)"})
    assert (outcome.done, outcome.failed) == (1, ())
    assert counts == {"shaky": 2}
    assert "It is tried again" in said
    assert not (grid.folder / "failure" / "shaky.json").exists()


def test_a_killed_job_goes_on_as_long_as_its_checkpoint_advances(grid):
    program = """
folder = pathlib.Path(job["checkpoint_folder"])
folder.mkdir(parents=True, exist_ok=True)
(folder / f"epoch-{attempt:04}.npz").write_text("")
finish() if attempt == 12 else os.kill(os.getpid(), 9)
"""
    outcome, said, counts = grid({"unlucky": program})
    assert (outcome.done, counts) == (1, {"unlucky": 12})
    assert "ended by SIGKILL" in said


def test_a_job_that_dies_without_getting_on_fails_in_the_end(grid):
    outcome, _, counts = grid({"stuck": "os.kill(os.getpid(), 9)", "good": "finish()"})
    assert outcome.done == 1
    assert counts["stuck"] == ledger.DEATHS
    assert "SIGKILL 5 times in a row without a new epoch" in outcome.failed[0][1]


def test_unusable_data_stop_everything_in_one_line(grid):
    with pytest.raises(InputError, match="first: no such folder") as refusal:
        grid({"first": f"fail('no such folder', {STATUS['bad input']})", "long": "import time; time.sleep(60)"})
    assert len(refusal.value.lines) == 1


def test_two_grids_share_the_work(grid):
    programs = {f"cell{number}": "import time; time.sleep(0.2); finish()" for number in range(8)}
    # Real jobs hold their lock themselves.
    held = f"""
import fcntl
lock = open(job['lock'], 'ab')
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit({STATUS["busy"]})
"""
    (grid.folder / "lock").mkdir()
    programs = {
        title: held + "done = pathlib.Path(job['record'] + '.times')\n"
        "done.parent.mkdir(parents=True, exist_ok=True)\n"
        "with done.open('a') as file: file.write('x')\n" + program
        for title, program in programs.items()
    }
    outcomes = []
    other = threading.Thread(target=lambda: outcomes.append(grid(programs)))
    other.start()
    time.sleep(0.3)
    outcomes.append(grid(programs))
    other.join()
    for outcome, _, _ in outcomes:
        assert outcome.failed == ()
        assert outcome.done + outcome.skipped == 8
    # An attempt that found the lock taken did no work.
    assert [path.read_text() for path in (grid.folder / "record").glob("*.times")] == ["x"] * 8


def test_a_cell_in_other_hands_is_waited_for_and_taken_over_if_they_die(grid):
    job = grid.job("taken", "finish()")
    outcomes = []
    with locked(job["lock"]):
        thread = threading.Thread(target=lambda: outcomes.append(grid({"taken": "finish()", "free": "finish()"})))
        thread.start()
        deadline = time.monotonic() + 20
        while not (grid.folder / "record" / "free").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not (grid.folder / "record" / "taken").exists()
        assert thread.is_alive()
    thread.join(20)
    ((outcome, _, counts),) = outcomes
    assert (outcome.done, counts) == (2, {"taken": 1, "free": 1})


def test_an_event_cut_short_by_a_kill_is_passed_over():
    lines = ['{"event": "note", "text": "whole"}', '{"event": "no']
    program = f"print({lines[0]!r}); print({lines[1]!r}, end='', flush=True); import os; os.kill(os.getpid(), 9)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        seen = []
        ended = follow({"log": "log"}, process, seen.append)
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
    run = tests.grid_in(pathlib.Path(sys.argv[1]), patch, Nowhere)
    events = "[print(json.dumps({'event': 'note', 'text': 'x' * 1000})) for _ in range(100)]; finish()"
    run({f"first{number}": events for number in range(10)})
    before = resident()
    outcome, _, _ = run({f"later{number}": events for number in range(50)})
    print(outcome.done, resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell a process's memory")
def test_the_parents_memory_does_not_grow_with_the_cells(tmp_path, repository):
    # In a process of its own: the other tests' libraries keep threads that take memory when they like.
    ran = subprocess.run(
        [sys.executable, "-c", GROWTH, tmp_path], cwd=repository, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    done, kilobytes = map(int, ran.stdout.split())
    assert done == 50
    assert kilobytes < 1_000


def test_a_damaged_failure_is_named(tmp_path):
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(InputError, match=r"one\.json is not the record of a failure: 'study' is missing"):
        ledger.read_failures(tmp_path)
    (tmp_path / "one.json").write_text("{")
    with pytest.raises(InputError, match=r"one\.json is not the record of a failure"):
        ledger.read_failures(tmp_path)
    assert ledger.read_failures(tmp_path / "nowhere") == []
