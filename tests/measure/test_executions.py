"""The choice of backend, implementation and threads; the times are invented."""

import errno
import json

import pytest

from compactnet.errors import InputError, ResourceError
from compactnet.experiments.config import load_experiment
from compactnet.measure import executions
from compactnet.measure.epoch_time import EpochTimes
from compactnet.measure.executions import candidates, choose_executions
from compactnet.schema import Execution
from tests.factories import run_record

STEPS = {
    ("tensorflow", "keras", None): 0.3,
    ("tensorflow", "fast", True): 0.2,
    ("tensorflow", "fast", False): 0.5,
    ("jax", "keras", None): 0.9,
    ("jax", "fast", None): 0.1,
}
"""{(backend, implementation, oneDNN): seconds of a step with all threads}"""


@pytest.fixture
def machine(monkeypatch):
    """Four cores, TensorFlow and JAX; a process with one thread takes twice as long as one with four."""
    asked = []

    def measure(run, samples, processes, limit):
        way = run.execution
        asked.append((run.network.name, way, processes, limit))
        step = STEPS[way.backend, way.implementation, way.onednn] * (2 if way.threads == 1 else 1)
        return EpochTimes(start=10, step=step, evaluation=step / 3)

    monkeypatch.setattr(executions, "measure_epoch", measure)
    monkeypatch.setattr(executions, "available_cores", lambda: range(4))
    monkeypatch.setattr(executions, "visible_gpus", list)
    monkeypatch.setattr(executions, "_installed", lambda name: True)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return asked


@pytest.fixture
def choose(repository, tmp_path):
    """Function that chooses the executions of two networks of configs/ic.yaml, and returns the experiment's too."""

    def choose(*changes, records=(), workers=None, only=("xvgg8", "mobilenet_v1_025"), **arguments):
        experiment = load_experiment(repository / "configs" / "ic.yaml", changes)
        runs = experiment.runs(only)
        counts = {run.data.fold_name: (50_000, 10_000) for run in runs}
        return choose_executions(experiment, runs, records, counts, tmp_path, workers, **arguments)

    return choose


def ways(choice):
    return {(run.execution.title, run.execution.threads) for run in choice.runs}


def test_the_fastest_of_all_is_chosen_and_kept(machine, choose, tmp_path):
    choice = choose()
    # Four at once, half as fast each.
    assert ways(choice) == {("jax, fast", 1)}
    assert choice.workers == 4
    assert list(choice.hours) == [(1, 4), (4, 1)]
    assert choice.hours[1, 4] < choice.hours[4, 1]
    assert len(machine) == 2 * 6
    # What takes 1.5 times as long as the best so far need not be timed to the end.
    limits = {way.title: limit for name, way, processes, limit in machine if processes == 1 and name == "xvgg8"}
    assert limits["tensorflow, fast, oneDNN on"] is None
    assert limits["jax, fast"] == pytest.approx(0.3)
    assert limits["tensorflow"] == pytest.approx(0.15)
    machine.clear()
    again = choose()
    assert (again.runs, again.workers, machine) == (choice.runs, choice.workers, [])
    content = json.loads((tmp_path / "executions" / "ic.json").read_text())
    assert content["threads"] == 1
    assert len(content["networks"]) == 2


def test_hours_are_those_of_whole_runs(machine, choose):
    """Five runs on four workers take as long as two."""
    one, five = (choose(f"seeds={list(range(count))}", only=("xvgg8",), workers=4) for count in (1, 5))
    assert list(five.hours) == list(one.hours) == [(1, 4)]
    assert five.hours[1, 4] == pytest.approx(2 * one.hours[1, 4])


def test_a_network_that_comes_later_is_measured_with_the_threads_of_the_others(machine, choose):
    choose(only=["xvgg8"])
    machine.clear()
    choice = choose()
    assert {name for name, *_ in machine} == {"mobilenet_v1_025"}
    assert {way.threads for _, way, *_ in machine} == {1}
    assert ways(choice) == {("jax, fast", 1)}


def test_another_batch_size_is_measured_again_and_another_number_of_epochs_not(machine, choose):
    choose(only=["xvgg8"])
    machine.clear()
    choose("training.epochs=20", only=["xvgg8"])
    assert not machine
    choose("training.batch_size=64", only=["xvgg8"])
    assert machine


def test_short_runs_are_not_worth_the_measuring(machine, choose, monkeypatch):
    monkeypatch.setattr(executions, "WORTH", 1e9)
    choice = choose()
    assert ways(choice) == {("tensorflow, fast, oneDNN on", 4)}
    assert choice.workers == 1
    assert len(machine) == 2
    assert list(choice.hours) == [(4, 1)]


def test_a_number_of_workers_shares_the_cores(machine, choose):
    choice = choose(workers=2)
    assert ways(choice) == {("jax, fast", 2)}
    assert choice.workers == 2
    assert {processes for *_, processes, _ in machine} == {2}


def test_a_backend_that_is_named_is_kept(machine, choose, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert ways(choose("threads=2")) == {("tensorflow, fast, oneDNN on", 2)}
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    machine.clear()
    assert ways(choose("threads=2")) == {("torch", 2)}
    assert not machine


def test_nothing_is_measured_where_nothing_is_open(machine, choose, monkeypatch):
    assert ways(choose("threads=2", "implementation=keras")) == {("tensorflow", 2)}
    assert ways(choose("threads=2", "implementation=fast")) == {("tensorflow, fast", 2)}
    assert not machine
    choose("threads=2", "implementation=keras", measure_all=True)
    assert [way.title for _, way, *_ in machine] == ["tensorflow"] * 2


def test_gpus_and_half_precision_have_no_fast_forms(machine, choose, monkeypatch):
    assert ways(choose("training.precision=mixed_bfloat16", workers=1)) == {("tensorflow", 4)}
    monkeypatch.setattr(executions, "visible_gpus", lambda: ["0"])
    assert ways(choose()) == {("tensorflow", 4)}
    assert not machine


def test_each_gpu_trains_a_run(machine, choose, monkeypatch):
    monkeypatch.setattr(executions, "visible_gpus", lambda: ["0", "1"])
    for fields, threads in (((), 2), (("threads=1", "implementation=keras"), 1)):
        choice = choose(*fields)
        assert (choice.workers, ways(choice)) == (2, {("tensorflow", threads)})
    assert choose(workers=1).workers == 1
    monkeypatch.setattr(executions, "available_cores", lambda: range(1))
    assert choose().workers == 2


def test_a_run_with_a_record_keeps_its_execution(machine, choose, repository):
    run = load_experiment(repository / "configs" / "ic.yaml").runs(["xvgg8"])[0]
    record = run_record(run, run.data.official_fingerprint + "content")
    choice = choose(records=[record], only=["xvgg8"])
    assert [run.execution for run in choice.runs] == [run.execution] + [choice.runs[1].execution] * 4
    assert choice.runs[1].execution.title == "jax, fast"
    assert len(choice.left) == 4
    # Where nothing is measured, the record says it too.
    experiment = load_experiment(repository / "configs" / "ic.yaml")
    other = run.model_copy(update={"execution": run.execution.model_copy(update={"backend": "jax"})})
    found = executions.done_runs(experiment, experiment.runs(["xvgg8"]), [run_record(other, record.fingerprint)])
    assert found == {run.key: other}
    # Fixed by the config or the environment, another execution is another run.
    assert len(choose("threads=4", records=[record], only=["xvgg8"]).left) == 5
    assert len(choose("implementation=fast", records=[record], only=["xvgg8"]).left) == 5


def test_a_run_that_another_experiment_has_done_is_not_trained_again_on_official_data(machine, choose, repository):
    run = load_experiment(repository / "configs" / "ic.yaml").runs(["xvgg8"])[0]
    fingerprint = run.data.official_fingerprint + "content"
    other = run_record(run.model_copy(update={"experiment": "other"}), fingerprint)
    assert len(choose(records=[other], only=["xvgg8"]).left) == 4
    assert len(choose("training.epochs=7", records=[other], only=["xvgg8"]).left) == 5
    generated = run.data.model_copy(update={"generated": True})
    made_up = run_record(run.model_copy(update={"experiment": "other", "data": generated}))
    assert len(choose("table=null", "data.generated=true", records=[made_up], only=["xvgg8"]).left) == 5
    # Its own record has the first word.
    execution = run.execution.model_copy(update={"threads": 3})
    own = run_record(run.model_copy(update={"execution": execution}), fingerprint)
    for records in ([own, other], [other, own]):
        assert choose(records=records, only=["xvgg8"]).runs[0].execution.threads == 3


def interrupt(machine, choose, monkeypatch, after):
    """Choose, and stop the measuring after some ways."""
    whole = executions.measure_epoch

    def interrupted(*arguments):
        if len(machine) == after:
            raise KeyboardInterrupt
        return whole(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(executions, "measure_epoch", interrupted)
        choose()


def test_measuring_that_was_interrupted_goes_on(machine, choose, monkeypatch):
    interrupt(machine, choose, monkeypatch, after=5)
    choose()
    assert len(machine) == 2 * 6


def test_of_a_later_network_the_measuring_begins_anew(machine, choose, monkeypatch):
    choose(only=["xvgg8"])
    machine.clear()
    interrupt(machine, choose, monkeypatch, after=2)
    machine.clear()
    # Slow with one thread, so that the first way is not the fastest.
    assert ways(choose(only=["mobilenet_v1_025"])) == {("jax, fast", 1)}
    assert len(machine) == 5


def test_a_way_that_does_not_work_is_left_out(machine, choose, monkeypatch, capsys):
    whole = executions.measure_epoch

    def measure(run, samples, processes, limit):
        if processes > 1:
            raise ResourceError("xvgg8 cannot be timed, status -9")
        if run.execution.backend == "jax":
            raise InputError("xvgg8 cannot be timed, status 1")
        return whole(run, samples, processes, limit)

    monkeypatch.setattr(executions, "measure_epoch", measure)
    choice = choose(only=["xvgg8"])
    assert (ways(choice), choice.workers) == ({("tensorflow, fast, oneDNN on", 4)}, 1)
    error = capsys.readouterr().err
    assert "jax, fast, is left out: xvgg8 cannot be timed, status 1" in error
    assert "4 at once, is left out: xvgg8 cannot be timed, status -9" in error
    machine.clear()
    assert ways(choose(only=["xvgg8"])) == ways(choice)
    assert not machine


def test_a_later_network_that_cannot_be_timed_at_once_says_what_to_do(machine, choose, monkeypatch):
    whole = executions.measure_epoch

    def measure(run, samples, processes, limit):
        if run.network.name == "vgg8" and processes > 1:
            raise ResourceError("vgg8 cannot be timed, status -9: no output")
        found = whole(run, samples, processes, limit)
        return found.model_copy(update={"step": 0.01}) if run.execution.threads == 1 else found

    monkeypatch.setattr(executions, "measure_epoch", measure)
    assert choose(only=["xvgg8"]).workers == 4
    with pytest.raises(ResourceError, match=r"status -9: no output. 4 were timed at once: set WORKERS=1"):
        choose(only=["vgg8"])
    assert choose(only=["vgg8"], workers=1).workers == 1


def test_a_process_that_cannot_start_is_no_fault_of_the_folder(machine, choose, monkeypatch):
    def measure(*arguments):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(executions, "measure_epoch", measure)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        choose()


def test_a_results_folder_that_cannot_be_written_is_one_line(machine, repository, tmp_path):
    experiment = load_experiment(repository / "configs" / "ic.yaml")
    (tmp_path / "file").write_text("")
    runs = experiment.runs(["xvgg8"])
    with pytest.raises(InputError, match=r"Cannot write .*ic\.json"):
        choose_executions(experiment, runs, [], {"": (50_000, 10_000)}, tmp_path / "file")


def test_a_damaged_file_is_one_line(machine, choose, tmp_path):
    (tmp_path / "executions").mkdir()
    (tmp_path / "executions" / "ic.json").write_text("{")
    with pytest.raises(InputError, match=r"ic\.json.*Delete it to measure again\.$"):
        choose()


def test_onednn_is_asked_for_and_not_assumed(machine, repository):
    experiment = load_experiment(repository / "configs" / "ic.yaml")
    assert [way.title for way in candidates(experiment, 4)] == [
        "tensorflow, fast, oneDNN on",
        "jax, fast",
        "tensorflow, fast, oneDNN off",
        "tensorflow",
        "jax",
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"backend": "torch", "implementation": "fast"}, "fast implementations exist on tensorflow and jax"),
        ({"backend": "jax", "onednn": True}, "onednn concerns tensorflow alone"),
    ],
)
def test_an_execution_that_does_not_exist(fields, reason):
    with pytest.raises(InputError, match=reason):
        Execution(threads=1, **fields)
