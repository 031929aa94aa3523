#!/usr/bin/env python3
"""Export every network of the catalogue, with drawn weights, to every format, and compare each file with the network.

Rows that are already in --out are made again only if they name other versions than those installed. `--table` prints
them as a table.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from common import kept_rows, read_rows, write_rows

from compactnet.commands import Parser, exit_status

ROWS = Path(__file__).with_suffix(".jsonl")
SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "openvino": ".xml", "saved_model": ""}
FORMS = ("slices", "reduce")
"""Forms of the interchannel operation. The second is for OpenVINO, which cannot read slices before a convolution with
strides."""

CONVERTERS = ("ai-edge-litert", "tf2onnx", "onnx", "onnxruntime", "openvino")
"""Distributions that make the files, besides TensorFlow and Keras."""

NAMES = {"litert": "LiteRT", "onnx": "ONNX Runtime", "openvino": "OpenVINO", "saved_model": "SavedModel"}


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROWS, help="file of rows, one line of JSON each")
    parser.add_argument("--table", action="store_true", help="print the table of the rows in --out, export nothing")
    options = parser.parse_args()
    if not options.table:
        from compactnet.processes import job_environment

        os.environ.update(job_environment("tensorflow", 1, "cpu"))
        _measure(options.out)
    print("\n".join(_table(read_rows(options.out))))
    return 0


def _measure(path):
    from compactnet import environment
    from compactnet.deploy import fold
    from compactnet.networks import CATALOGUE, build

    found = environment.describe(CONVERTERS).versions
    versions = {name: found[name] for name in ("compactnet", "keras", "tensorflow", *CONVERTERS)}
    rows = {row["network"]: row for row in kept_rows(path)}
    for name in CATALOGUE:
        if name in rows and rows[name].get("versions", versions) == versions:
            continue
        # VGG-8 without padding needs 76 pixels.
        size = 80 if "vgg" in name else 48
        model = _without_softmax(_drawn(build(name, (size, size, 3))))
        row = {"network": name, "size": size, "fold": _difference(model, fold(model, interchannel="slices"))}
        with tempfile.TemporaryDirectory() as folder:
            for format, suffix in SUFFIXES.items():
                row[format] = _exported(model, Path(folder) / f"model{suffix}", format)
        rows[name] = row | {"versions": versions, "finished": environment.now()}
        print(rows[name], flush=True)
        write_rows(path, rows.values())


def _exported(model, path, format):
    """Return the row of one file, of the first form that its runtime reads."""
    from compactnet.deploy import export
    from compactnet.errors import InputError

    for form in FORMS:
        try:
            report = export(model, path, format, interchannel=form)
        except InputError:
            if format != "openvino" or form == FORMS[-1]:
                raise
            continue
        return {"form": report.interchannel, "difference": report.largest_difference, "bytes": report.bytes}


def _drawn(model):
    """Return a model after drawing the weights of its normalizations, so that folding has something to fold."""
    import keras
    import numpy as np

    from compactnet.networks.keras_internals import all_sublayers

    generator = np.random.default_rng(0)
    for layer in all_sublayers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(
                [
                    generator.uniform(0.5, 1.5, weight.shape)
                    if variable.path.endswith(("gamma", "variance"))
                    else generator.normal(0, 0.2, weight.shape)
                    for variable, weight in zip(layer.weights, layer.get_weights(), strict=True)
                ]
            )
    return model


def _without_softmax(model):
    """Let the classifier give its sums: softmax would hide differences."""
    import keras

    model.layers[-1].activation = keras.activations.linear
    return model


def _difference(model, folded):
    import numpy as np

    samples = np.random.default_rng(1).normal(size=(4, *model.input_shape[1:])).astype("float32")
    one, other = (np.asarray(network(samples, training=False)) for network in (model, folded))
    return float(np.abs(one - other).max() / np.abs(one).max())


def _table(rows):
    yield "| network | folded | " + " | ".join(NAMES.values()) + " | kB, LiteRT |"
    yield "|---|" + "--:|" * (len(NAMES) + 2)
    for row in rows:
        files = " | ".join(_cell(row[format]) for format in NAMES)
        yield f"| `{row['network']}` | {row['fold']:.0e} | {files} | {row['litert']['bytes'] / 1e3:,.0f} |"


def _cell(made):
    """Return the difference of a file, with its form where that is not the first one."""
    form = "" if made["form"] in (None, FORMS[0]) else f" ({made['form']})"
    return f"{made['difference']:.0e}{form}"


if __name__ == "__main__":
    sys.exit(exit_status(main))
