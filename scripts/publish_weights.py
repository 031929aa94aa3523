#!/usr/bin/env python3
"""Put the weights of a run on images, trained with --keep-weights, into the package."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import add_data_option, run_command


def main():
    from compactnet.errors import InputError
    from compactnet.experiments.records import read_record
    from compactnet.files import write_npz, write_text
    from compactnet.networks import build
    from compactnet.networks.pretrained import FOLDER, Pretrained
    from compactnet.networks.weights import load_weights

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path, help="record of the run; its weights lie in weights/ beside records/")
    add_data_option(parser)
    options = parser.parse_args()
    path = options.record.resolve()
    record, records = read_record(path), path.parent.parent
    weights = records.parent / "weights" / path.relative_to(records).with_suffix(".npz")
    if record.run.data.generated or record.run.data.network_size:
        raise InputError("Weights are published of runs on real images, with inputs as large as the images.")
    dataset = record.run.data.load(options.data)
    if dataset.fingerprint != record.fingerprint:
        raise InputError(f"{options.data} holds other data than those of the record.")
    network = record.run.network
    model = build(network, dataset.sample_shape, len(dataset.class_names), name=network.name)
    load_weights(weights, model, record.weights_sha256)
    known = Pretrained(
        network={"title": network.title, **network.architecture()},
        data=record.run.data.title,
        input_shape=dataset.sample_shape,
        class_names=dataset.class_names,
        mean=dataset.mean.tolist(),
        std=dataset.std.tolist(),
        accuracy=record.last.test_accuracy,
        epochs=record.run.training.epochs,
        seed=record.run.seed,
        record=str(path.relative_to(records)),
        weights_sha256=record.weights_sha256,
    )
    target = FOLDER / f"{network.name}-{record.run.data.source}.npz"
    write_npz(target, {f"arr_{index}": array for index, array in enumerate(model.get_weights())}, compress=True)
    write_text(target.with_suffix(".json"), known.model_dump_json(indent=1) + "\n")
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, test accuracy {100 * known.accuracy:.2f} %")


if __name__ == "__main__":
    sys.exit(run_command(main))
