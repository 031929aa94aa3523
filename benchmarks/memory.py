#!/usr/bin/env python3
"""Measure the peak memory and the loss of three training steps on noise of the size of the acoustic scenes, 128x512."""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from common import comparable, read_rows, run_worker

from compactnet.commands import Parser, exit_status

WAYS = {
    "keras": {"implementation": "keras"},
    "keras, recompute": {"implementation": "keras", "recompute": True},
    "fast": {"implementation": "fast"},
    "fast, recompute": {"implementation": "fast", "recompute": True},
}
RECORDS = Path(__file__).with_suffix(".jsonl")
INPUT, BATCH, STEPS, THREADS = (128, 512, 1), 32, 3, 2
CONDITIONS = ("backend", "threads", "processor", "versions")


def main():
    parser = Parser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["xvgg8"])
    parser.add_argument("--backend", default="tensorflow", choices=("tensorflow", "jax"))
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RECORDS, help="file that rows are added to")
    parser.add_argument("--table", action="store_true", help="print the table of the file and measure nothing")
    options = parser.parse_args()
    if options.table:
        print(table(read_rows(options.out)))
        return 0
    if options.worker:
        return _work(options.networks[0], options.backend, WAYS[options.worker])
    from compactnet.processes import job_environment

    for network in options.networks:
        for way in WAYS:
            command = [sys.executable, __file__, network, "--backend", options.backend, "--worker", way]
            found = run_worker(command, job_environment(options.backend, THREADS, "cpu"))
            row = {"network": network, "backend": options.backend, "way": way, "threads": THREADS, **found}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"{network} {options.backend} {way}: {found['gigabytes']:.1f} GB above the libraries, "
                f"{found['seconds']:.1f} s a step, losses {' '.join(f'{loss:.6f}' for loss in found['losses'])}",
                flush=True,
            )
    return 0


def table(rows):
    """Return the Markdown table of rows: gigabytes, and seconds of a step."""
    text = ["| network | " + " | ".join(WAYS) + " |", "|---" + "|--:" * len(WAYS) + "|"]
    for network, found in comparable(rows, WAYS, CONDITIONS).items():
        cells = (f"{found[way]['gigabytes']:.1f} GB, {found[way]['seconds']:.1f} s" for way in WAYS)
        text.append(f"| {network} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def _work(network, backend, fields):
    import keras
    import numpy as np

    from compactnet import environment
    from compactnet.experiments.trainers import compile_model
    from compactnet.networks import build
    from compactnet.schema import Execution, Training

    class Run:
        training = Training(epochs=1, batch_size=BATCH)
        execution = Execution(backend=backend, threads=THREADS, **fields)

        @staticmethod
        def build():
            return build(network, INPUT, 10)

    keras.utils.set_random_seed(0)
    model = compile_model(Run)
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(BATCH, *INPUT)).astype(np.float32)
    labels = generator.integers(0, 10, BATCH)
    before = _peak()
    losses, began = [], 0.0
    for step in range(STEPS):
        if step == 1:
            began = time.perf_counter()  # the first step traces or compiles
        losses.append(float(model.train_on_batch(samples, labels, return_dict=True)["loss"]))
    seconds = (time.perf_counter() - began) / (STEPS - 1)
    found = {"gigabytes": _peak() - before, "seconds": seconds, "losses": losses, "finished": environment.now()}
    print(json.dumps({**found, **environment.describe().model_dump(mode="json", exclude={"backend", "device"})}))
    return 0


def _peak():
    """Return the peak memory of this process in units of 1e9 bytes, on Linux."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


if __name__ == "__main__":
    sys.exit(exit_status(main))
