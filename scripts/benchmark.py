#!/usr/bin/env python3
"""Time the interchannel operation and the training step on this machine, as ratios within one run."""

import argparse
import dataclasses
import os
import sys

from compactnet.commands import run_command
from compactnet.errors import InputError
from compactnet.experiments.environment import processor
from compactnet.measure import speed
from compactnet.networks import CATALOGUE, build

STEP_NETWORKS = ("xvgg8", "compact_vgg_sum_c2", "compact_vgg_max_c2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--part", choices=("operation", "step", "all"), default="all", help="what to time (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=30, help="timed calls of each candidate (default: 30)")
    options = parser.parse_args()
    if options.rounds < 3:
        raise InputError(f"--rounds takes a number of at least 3. Received: {options.rounds}")
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError("The benchmark times TensorFlow: leave KERAS_BACKEND out or set it to tensorflow.")
    import tensorflow as tf

    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    print(f"{processor()}, {os.cpu_count()} cores, {threads} threads, TensorFlow {tf.__version__}")
    if options.part in ("operation", "all"):
        _operation(options.rounds)
    if options.part in ("step", "all"):
        _step(options.rounds)


def _operation(rounds):
    print("\nInterchannel operation, forward and backward, (32, 16, 16, 128):")
    for factor in (2, 4, 8):
        for operation in ("sum", "max", "average"):
            timings = speed.interchannel_operation(operation, factor, rounds=3 * rounds)
            base = timings["reshape and reduce"].median
            figures = ", ".join(
                f"{name} {1e3 * timing.median:.2f} ms ({base / timing.median:.2f}x as fast)"
                for name, timing in timings.items()
                if name != "reshape and reduce"
            )
            print(f"  {operation}, C={factor}: reshape and reduce {1e3 * base:.2f} ms, {figures}")


def _step(rounds):
    print("\nTraining step, batch 32, 32x32x3, 'same' padding, Adam:")
    models = {}
    for name in STEP_NETWORKS:
        spec = CATALOGUE[name]
        spec = dataclasses.replace(spec, skeleton=dataclasses.replace(spec.skeleton, padding="same"))
        models[name] = build(spec, (32, 32, 3), name=name)
    timings = speed.training_step(models, rounds=rounds)
    for name, (middle, low, high) in speed.ratios(timings, STEP_NETWORKS[0]).items():
        print(
            f"  {name}: {1e3 * timings[name].median:.1f} ms, {middle:.3f} of {STEP_NETWORKS[0]} ({low:.3f}-{high:.3f})"
        )
    for name, model in models.items():
        kinds = speed.seconds_by_kind(model)
        total = sum(kinds.values())
        shares = ", ".join(f"{kind} {100 * seconds / total:.0f} %" for kind, seconds in kinds.items())
        print(f"  where the time goes, {name} ({1e3 * total:.0f} ms layer by layer): {shares}")


if __name__ == "__main__":
    sys.exit(run_command(main))
