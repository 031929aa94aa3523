#!/usr/bin/env python3
"""Put the weights of a run on images, trained with --keep-weights, into the package."""

import sys
from pathlib import Path

from compactnet.commands import Parser, add_data_option, run_command


def main():
    from compactnet.data import Cifar10
    from compactnet.errors import InputError
    from compactnet.experiments.trained import load_trained
    from compactnet.files import atomic_write, write_npz
    from compactnet.networks.pretrained import FOLDER, Pretrained

    parser = Parser(description=__doc__)
    parser.add_argument("record", type=Path, help="record of the run; its weights lie in weights/ beside records/")
    add_data_option(parser)
    options = parser.parse_args()
    record, model = load_trained(options.record)
    data = record.run.data
    if not isinstance(data, Cifar10) or data.generated or data.network_size:
        raise InputError("Weights are published of runs on real images, with inputs as large as the images.")
    dataset = data.load(options.data)
    if dataset.fingerprint != record.fingerprint:
        raise InputError(f"{options.data} holds other data than those of the record.")
    network, path = record.run.network, options.record.resolve()
    known = Pretrained(
        network={"title": network.title, **network.architecture()},
        data=data.title,
        input_shape=dataset.sample_shape,
        class_names=dataset.class_names,
        mean=dataset.mean.tolist(),
        std=dataset.std.tolist(),
        accuracy=record.last.test_accuracy,
        epochs=record.run.training.epochs,
        seed=record.run.seed,
        record=f"{path.parent.name}/{path.name}",
        weights_sha256=record.weights_sha256,
    )
    target = FOLDER / f"{network.name}-{data.source}.npz"
    # The description is on the disk before the weights are replaced, so that a full disk leaves both as they were. If
    # this process ends between the two replacements, `build` refuses the weights, whose hash is another.
    with atomic_write(target.with_suffix(".json")) as described:
        described.write_text(known.model_dump_json(indent=1) + "\n", encoding="utf-8")
        write_npz(target, {f"arr_{index}": array for index, array in enumerate(model.get_weights())}, compress=True)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, test accuracy {100 * known.accuracy:.2f} %")


if __name__ == "__main__":
    sys.exit(run_command(main))
