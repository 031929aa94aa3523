#!/usr/bin/env python3
"""Compare the losses of training steps of the fast implementations with those of Keras' `fit` on TensorFlow.

All start from the same weights and see the same batches of CIFAR-10. Keras with other kernels shows how fast rounding
alone grows.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from common import run_worker

from compactnet.commands import Parser, exit_status

WAYS = {
    "tensorflow keras": ("tensorflow", "keras"),
    "the same, no oneDNN": ("tensorflow", "keras", False),
    "tensorflow fast": ("tensorflow", "fast"),
    "jax fast": ("jax", "fast"),
}
SHOWN = (1, 2, 3, 5, 10, 20, 50, 100, 200)


def main():
    parser = Parser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["mobilenet_v1_025", "compact_mobilenet_sum_c8", "xvgg8"])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with cifar-10-batches-py")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return _work(options, *options.worker)
    shown = [step for step in SHOWN if step <= options.steps]
    print(f"relative difference of the loss at step {', '.join(map(str, shown))}")
    with tempfile.TemporaryDirectory() as folder:
        for network in options.networks:
            weights, reference = Path(folder) / f"{network}.npz", None
            for way in WAYS:
                losses = _losses(network, way, weights, options)
                reference = reference or losses
                differences = [abs(losses[step - 1] / reference[step - 1] - 1) for step in shown]
                print(f"{network:26} {way:19}", *(f"{difference:.1e}" for difference in differences), flush=True)
    return 0


def _losses(network, way, weights, options):
    from compactnet.processes import job_environment

    arguments = [network, "--worker", way, str(weights), "--data", str(options.data), "--steps", str(options.steps)]
    environment = job_environment(WAYS[way][0], 2, "cpu", *WAYS[way][2:])
    return run_worker([sys.executable, __file__, *arguments], environment)


def _work(options, way, path):
    import numpy as np

    from compactnet.data import Cifar10
    from compactnet.experiments import trainers
    from compactnet.experiments.config import load_experiment
    from compactnet.networks.weights import save_weights
    from compactnet.schema import Execution

    trainers.SECONDS_PER_CALL = 0  # one step a call, so that each loss is heard
    backend, implementation = WAYS[way][:2]
    experiment = load_experiment(Path(__file__).parent.parent / "configs" / "ic.yaml")
    (run,) = experiment.runs([options.networks[0]], 1)
    run = run.model_copy(update={"execution": Execution(backend=backend, threads=2, implementation=implementation)})
    dataset = Cifar10().load(options.data)
    model = trainers.compile_model(run)
    if Path(path).exists():
        with np.load(path) as arrays:
            model.set_weights([arrays[f"arr_{index}"] for index in range(len(model.weights))])
    else:
        save_weights(Path(path), model)
    means = []
    trainer = trainers.choose_trainer(
        model, dataset, 32, lambda done, logs: means.append(float(logs["loss"])), implementation
    )
    trainer.run(np.random.default_rng(0).permutation(len(dataset.train))[: 32 * options.steps])
    # What is heard is the mean of the losses so far.
    sums = np.array(means) * np.arange(1, len(means) + 1)
    print(json.dumps(np.diff(sums, prepend=0).tolist()))
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
