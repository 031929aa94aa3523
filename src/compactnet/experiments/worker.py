"""The process that trains one run: `python -m compactnet.experiments.worker` reads a job from standard input.

What the parent needs to know goes to standard output, one JSON object per line.
"""

import contextlib
import json
import os
import signal
import sys

from compactnet.errors import InputError, ResourceError
from compactnet.experiments import records
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.experiments.job import STATUS
from compactnet.experiments.train import train_run
from compactnet.files import file_lock, storage_errors
from compactnet.processes import output_channel
from compactnet.schema import Job


class _BusyError(Exception):
    pass


def main():
    """Run the job on standard input; return one of `STATUS`. An unforeseen exception ends the process with 1."""
    # The parent decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = output_channel()

    def report(event):
        try:
            channel.write(json.dumps(event) + "\n")
        except BrokenPipeError:
            # The parent is gone: the last checkpoint stays, and the next process continues from it.
            os._exit(STATUS["abandoned"])

    job = Job.model_validate_json(sys.stdin.read())
    try:
        with contextlib.ExitStack() as stack:
            # For the lock alone: an OSError of the training is not one of the lock.
            with storage_errors(job.lock):
                stack.enter_context(file_lock(job.lock, on_wait=_raise_busy))
            _run(job, report)
    except _BusyError:
        return STATUS["busy"]
    except (InputError, ResourceError) as error:
        report({"event": "failed", "reason": " ".join(error.lines)})
        return STATUS["bad input" if isinstance(error, InputError) else "no resources"]
    except (FloatingPointError, MemoryError) as error:
        report({"event": "failed", "reason": f"{type(error).__name__}: {error}"})
        return STATUS["failed"]
    return STATUS["done"]


def _raise_busy():
    raise _BusyError


def _run(job, report):
    if records.is_done(job):
        return  # another sweep finished it in the meantime
    record = train_run(
        job.run,
        job.data_folder,
        report,
        expected_hash=job.protocol_hash,
        checkpoint_folder=job.checkpoints,
        tensorboard_folder=job.path("tensorboard", "") if job.tensorboard else None,
        weights_path=job.weights if job.keep_weights else None,
    )
    records.write_record(job.record, record)
    Checkpoints(job.checkpoints, job.protocol_hash).clear()


if __name__ == "__main__":
    sys.exit(main())
