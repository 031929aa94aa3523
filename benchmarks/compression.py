#!/usr/bin/env python3
"""Compress a trained network on CIFAR-10, with new weights and with a warm start, and fine-tune both.

Prints the accuracy on the test images of the original, and of each compressed network before and after fine-tuning, and
appends them to a file as one line of JSON. `--table` prints the lines of the file as a table.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from common import read_rows

from compactnet.commands import Parser, exit_status
from compactnet.processes import available_cores


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that holds cifar-10-batches-py")
    parser.add_argument("--model", type=Path, help=".keras file of a trained network; VGG-8 is trained if left out")
    parser.add_argument("--width", type=float, default=1.0, help="width of the VGG-8 that is trained")
    parser.add_argument("--epochs", type=int, default=5, help="of the training of VGG-8")
    parser.add_argument("--save", type=Path, help=".keras file for the trained VGG-8")
    parser.add_argument("--fine-tune", type=int, default=1, help="epochs of fine-tuning")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument("--factor", type=int, default=2, help="compact factor")
    parser.add_argument("--operation", default="sum")
    parser.add_argument("--min-channels", type=int, default=32)
    parser.add_argument("--calibration", type=int, default=1000, help="training images of the warm start")
    parser.add_argument("--train-samples", type=int)
    parser.add_argument("--test-samples", type=int)
    parser.add_argument("--generated", action="store_true", help="the images are generated ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=len(available_cores()))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    parser.add_argument("--table", action="store_true", help="print the lines of --out as a table, train nothing")
    options = parser.parse_args()
    if options.table:
        print("\n".join(_table(read_rows(options.out))))
        return 0

    from compactnet.processes import backend, job_environment

    os.environ.update(job_environment(backend(), options.threads))
    import keras

    import compactnet
    from compactnet import environment

    keras.utils.set_random_seed(options.seed)
    train, test = _images(options)
    model = keras.models.load_model(options.model) if options.model else _trained(options, train)
    if options.save:
        model.save(options.save)
    record = {"network": model.name, "backend": backend(), **_settings(options)}
    record["accuracy_before"] = _accuracy(model, test)
    print(f"{model.name}: {record['accuracy_before']:.1%} on {len(test[1])} test images", flush=True)
    calibration = tuple(values[: options.calibration] for values in train)
    for name, warm_start in (("cold", False), ("warm", True)):
        keras.utils.set_random_seed(options.seed)
        smaller, report = compactnet.compress(
            model,
            options.factor,
            options.operation,
            min_channels=options.min_channels,
            warm_start=warm_start,
            calibration_data=calibration,
        )
        accuracies = [_accuracy(smaller, test)]
        print(f"{name} start: {accuracies[0]:.1%}", flush=True)
        for epoch in range(options.fine_tune):
            _fit(smaller, train, 1, options.rate if epoch == 0 else None)
            accuracies.append(_accuracy(smaller, test))
            print(f"  after epoch {epoch + 1} of fine-tuning: {accuracies[-1]:.1%}", flush=True)
        print(report.fine_tuned(smaller, *test))
        record[name] = {"accuracies": accuracies}
    record |= {
        "params": [report.params_before, report.params_after],
        "flops": [report.flops_before, report.flops_after],
        "milliseconds": [report.milliseconds_before, report.milliseconds_after],
        "replaced": [row.name for row in report.replaced],
        "finished": environment.now(),
        "environment": environment.describe().model_dump(mode="json"),
    }
    with options.out.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record) + "\n")
    return 0


def _settings(options):
    """Return the options that decide a record; those of the training of VGG-8 say nothing of a given network."""
    left_out = {"data", "model", "save", "out", "table", *(("width", "epochs") if options.model else ())}
    return {name: value for name, value in vars(options).items() if name not in left_out}


def _table(records):
    """Yield the lines of a table with two rows for each record: new weights and a warm start."""
    tuned = max(record["fine_tune"] for record in records)
    yield (
        "| network | parameters | MFLOPs | ms | accuracy, % | compressed with | before fine-tuning, % | "
        + " | ".join(f"after epoch {epoch + 1}, %" for epoch in range(tuned))
        + " |"
    )
    yield "|---|--:|--:|--:|--:|---|--:|" + "--:|" * tuned
    for record in records:
        parameters = " -> ".join(f"{count:,}" for count in record["params"])
        flops = " -> ".join(f"{count / 1e6:.1f}" for count in record["flops"])
        times = " -> ".join(f"{time:.2f}" for time in record["milliseconds"])
        width = f", width {record['width']:g}" if "width" in record else ""
        network = f"{record['network']}{width}, C = {record['factor']}"
        for name, title in (("cold", "new weights"), ("warm", "a warm start")):
            accuracies = " | ".join(f"{100 * accuracy:.1f}" for accuracy in record[name]["accuracies"])
            before = f"{100 * record['accuracy_before']:.1f}"
            yield f"| {network} | {parameters} | {flops} | {times} | {before} | {title} | {accuracies} |"


def _images(options):
    """Return the training and the test images, normalized, with their labels."""
    from compactnet.data import Cifar10

    dataset = Cifar10(
        train_samples=options.train_samples, test_samples=options.test_samples, generated=options.generated
    ).load(options.data)
    return [dataset.batch(split, slice(None)) for split in (dataset.train, dataset.test)]


def _trained(options, train):
    from compactnet.networks import VGG8, NetworkSpec, Standard, build

    skeleton = VGG8(padding="same", width=options.width, momentum=0.9)
    model = build(NetworkSpec(title="VGG-8", skeleton=skeleton, convolution=Standard()), input_shape=(32, 32, 3))
    for epoch in range(options.epochs):
        seconds = _fit(model, train, 1, options.rate if epoch == 0 else None)
        print(f"epoch {epoch + 1} of VGG-8 in {seconds:.0f} s", flush=True)
    return model


def _fit(model, train, epochs, rate):
    """Train with Adam, newly compiled if `rate` is given, and return the seconds."""
    import keras

    if rate is not None:
        # XLA on processors runs depthwise convolutions slowly on TensorFlow; JAX always compiles with it.
        model.compile(
            keras.optimizers.Adam(rate),
            "sparse_categorical_crossentropy",
            jit_compile=keras.config.backend() == "jax",
        )
    began = time.perf_counter()
    model.fit(*train, batch_size=64, epochs=epochs, verbose=0)
    return time.perf_counter() - began


def _accuracy(model, test):
    from compactnet.compression.accuracy import accuracy

    return accuracy(model, *test)


if __name__ == "__main__":
    sys.exit(exit_status(main))
