#!/usr/bin/env python3
"""Time training steps and epochs of networks in several ways, side by side, on noise of the size of CIFAR-10.

The ways are the implementations that a run can have, and the same network in plain PyTorch in both memory layouts. Each
way lives in a process of its own; they take turns, so that a change of the machine's speed meets all of them alike.
"""

import argparse
import contextlib
import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import comparable, failure, read_rows

from compactnet.commands import Parser, exit_status

WAYS = {
    "tensorflow keras": ("tensorflow", "keras"),
    "tensorflow fast": ("tensorflow", "fast"),
    "jax fast": ("jax", "fast"),
    "pytorch": ("torch", "channels_first"),
    "pytorch channels last": ("torch", "channels_last"),
}
TABLE1 = [
    *("vgg8", "xvgg8", *(f"compact_vgg_sum_c{factor}" for factor in (2, 4, 8))),
    *("resnet50", *(f"compact_resnet_sum_c{factor}" for factor in (2, 4, 8))),
    *("mobilenet_v1_100", "mobilenet_v1_050", "mobilenet_v1_025"),
    *(f"compact_mobilenet_sum_c{factor}" for factor in (2, 4, 8)),
]
BATCH = 32
RECORDS = Path(__file__).with_suffix(".jsonl")
CONDITIONS = ("threads", "size", "processor", "vector_extensions")


def main():
    options = _parse_options()
    if options.table:
        print(table(read_rows(options.out)))
        return 0
    if options.worker:
        return _work(*WAYS[options.worker], options.networks[0], options.threads, options.size)
    with options.out.open("a", encoding="utf-8") as file:
        for network in options.networks:
            for row in _time(network, options):
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(
                    f"{network:26} {row['way']:22} step {row['step_ms']:7.1f} ms, "
                    f"in an epoch {row['epoch_ms']:7.1f} ms, "
                    f"ready in {row['ready_s']:.1f} s",
                    flush=True,
                )
    return 0


def _parse_options():
    parser = Parser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=TABLE1, help="names of the catalogue (default: Table I)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=32, help="height and width of an image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="approximate length of an epoch")
    parser.add_argument("--out", type=Path, default=RECORDS, help="file that rows are added to")
    parser.add_argument("--table", action="store_true", help="print the table of the file and measure nothing")
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


def table(rows):
    """Return the Markdown table of rows: milliseconds a step takes in an epoch, and ratios with the range of rounds."""
    networks = comparable(rows, WAYS, CONDITIONS)
    ours, theirs = ("tensorflow fast", "jax fast"), ("pytorch", "pytorch channels last")
    text = [
        "| network | Keras on TensorFlow | PyTorch | PyTorch, channels last | fast on TensorFlow | fast on JAX "
        "| over Keras | over PyTorch | epoch over steps |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    # Those of Table I first, in its order.
    for network in sorted(networks, key=lambda name: TABLE1.index(name) if name in TABLE1 else len(TABLE1)):
        found = networks[network]
        best = min((found[way] for way in ours), key=lambda row: row["epoch_ms"])
        figures = [
            *(f"{found[way]['epoch_ms']:.1f}" for way in ("tensorflow keras", *theirs, *ours)),
            _ratio(found["tensorflow keras"], best),
            _ratio(min((found[way] for way in theirs), key=lambda row: row["epoch_ms"]), best),
            f"{best['epoch_ms'] / best['step_ms']:.2f}",
        ]
        text.append(f"| {network} | " + " | ".join(figures) + " |")
    return "\n".join(text)


def _ratio(slow, fast):
    """Return the ratio of two ways' times and, where they have the same rounds, its smallest and largest of a round."""
    ratio = f"{slow['epoch_ms'] / fast['epoch_ms']:.2f}x"
    if len(slow["rounds_ms"]) != len(fast["rounds_ms"]):  # of two commands
        return ratio
    rounds = [one / other for one, other in zip(slow["rounds_ms"], fast["rounds_ms"], strict=True)]
    return f"{ratio} ({min(rounds):.1f}-{max(rounds):.1f})"


def _time(network, options):
    """Return a row for each way, timed in turns."""
    from compactnet.processes import job_environment, processor, vector_extensions

    workers = {}
    with contextlib.ExitStack() as ended:
        for way in options.ways:
            log = ended.enter_context(tempfile.TemporaryFile("w+"))
            arguments = [network, "--worker", way, "--threads", str(options.threads), "--size", str(options.size)]
            workers[way] = subprocess.Popen(
                [sys.executable, __file__, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=job_environment(WAYS[way][0], options.threads, "cpu"),
            )
            ended.callback(_stop, workers[way])
            workers[way].log = log  # shown only if it fails
            workers[way].ready = _ask(workers[way], 6)["seconds"]  # one at a time, also while they get ready
        batches = {
            way: max(8, round(options.seconds / (_ask(worker, 8)["seconds"] / 8))) for way, worker in workers.items()
        }
        rounds = {way: [] for way in workers}
        for _ in range(options.rounds):
            for way, worker in workers.items():
                rounds[way].append(_ask(worker, batches[way]))
    for way, answers in rounds.items():
        yield {
            "network": network,
            "way": way,
            "threads": options.threads,
            "size": options.size,
            "batches": batches[way],
            "step_ms": 1e3 * statistics.median(answer["step"] for answer in answers),
            "epoch_ms": 1e3 * statistics.median(answer["seconds"] for answer in answers) / batches[way],
            "rounds_ms": [1e3 * answer["seconds"] / batches[way] for answer in answers],
            "ready_s": workers[way].ready,
            "processor": processor(),
            "vector_extensions": vector_extensions(),
            "version": importlib.metadata.version(WAYS[way][0]),
        }


def _stop(worker):
    worker.kill()
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.close()
    worker.stdout.close()
    worker.wait()


def _ask(worker, batches):
    with contextlib.suppress(BrokenPipeError):  # the worker has ended, and its log says why
        worker.stdin.write(f"{batches}\n")
        worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        status = worker.wait()
        worker.log.seek(0)
        raise failure(status, worker.log.read())
    return json.loads(line)


def _work(backend, form, network, threads, size):
    """Answer each number of batches on standard input with the seconds of their epoch and of a step by itself."""
    from compactnet.processes import output_channel

    channel = output_channel()
    began = time.perf_counter()
    if backend == "torch":
        epoch, steps = _torch(network, threads, size, form == "channels_last")
    else:
        epoch, steps = _keras(network, backend, form, threads, size)
    for line in sys.stdin:
        batches = int(line)
        start = began or time.perf_counter()
        ended = epoch(batches)
        steps(1)
        step_began = time.perf_counter()
        steps(max(4, batches // 4))
        step = (time.perf_counter() - step_began) / max(4, batches // 4)
        channel.write(json.dumps({"seconds": ended - start, "step": step}) + "\n")
        began = None
    return 0


def _data(size):
    import numpy as np

    generator = np.random.default_rng(0)
    samples = generator.integers(0, 256, (2048, size, size, 3), np.uint8)
    return samples, generator.integers(0, 10, 2048)


def _order(batches):
    import numpy as np

    return np.random.default_rng(0).integers(0, 2048, BATCH * batches)


def _model(network, size):
    from compactnet.networks import build, get_spec

    spec = get_spec(network)
    if spec.skeleton.kind == "vgg8":  # as in configs/ic.yaml
        spec = spec.model_copy(update={"skeleton": spec.skeleton.model_copy(update={"padding": "same"})})
    return build(spec, (size, size, 3), 10)


def _torch(network, threads, size, channels_last):
    """Return a function that trains a number of batches and returns when the last had ended, and one of bare steps."""
    import numpy as np
    from torch_networks import TorchTrainer

    flat = np.zeros((1, 1, 3), np.float32)
    trainer = TorchTrainer(_model(network, size), *_data(size), flat + 127, flat + 64, threads, channels_last)
    fixed = trainer.batch(np.arange(BATCH))

    def epoch(batches):
        for indices in _order(batches).reshape(batches, BATCH):
            trainer.step(*trainer.batch(indices))
        return time.perf_counter()

    def steps(count):
        for _ in range(count):
            trainer.step(*fixed)

    return epoch, steps


def _keras(network, backend, form, threads, size):
    """Return the two functions of `_torch`."""
    import keras
    import numpy as np

    from compactnet.data import Dataset, Split
    from compactnet.experiments.trainers import choose_trainer, compile_model
    from compactnet.schema import Execution, Training

    class Run:
        training = Training(epochs=1, batch_size=BATCH)
        execution = Execution(backend=backend, threads=threads, implementation=form)

        @staticmethod
        def build():
            return _model(network, size)

    samples, labels = _data(size)
    flat = np.zeros((1, 1, 3), np.float32)
    split, test = Split(samples, labels), Split(samples[:BATCH], labels[:BATCH])
    dataset = Dataset(split, test, tuple("0123456789"), flat + 127, flat + 64, "", {}, True)
    model = compile_model(Run)
    ends = []
    trainer = choose_trainer(model, dataset, BATCH, lambda done, logs: ends.append(_now(logs)), form)
    batch = tuple(map(keras.ops.convert_to_tensor, dataset.batch(split, np.arange(BATCH))))
    made = []

    def steps(count):
        if not made:
            made.append(_bare_steps(model, batch, backend))
        made[0](count)

    def epoch(batches):
        trainer.run(_order(batches))
        return ends[-1]  # the evaluation after it is no part of training

    return epoch, steps


def _now(logs):
    float(logs["loss"])  # the step has ended when its loss is known
    return time.perf_counter()


def _bare_steps(model, batch, backend):
    """Return a function that makes steps on one batch that needs no feeding."""
    if backend == "tensorflow":
        import tensorflow as tf

        step = tf.function(lambda: model.train_step(batch)["loss"], autograph=False)

        def run(count):
            for _ in range(count):
                float(step())

        return run
    import jax

    groups = [model.trainable_variables, model.non_trainable_variables, model.optimizer.variables]
    groups.append(model.metrics_variables)
    state = [[variable.value for variable in group] for group in groups]

    @jax.jit
    def loop(state, count):
        return jax.lax.fori_loop(0, count, lambda _, state: list(map(list, model.train_step(state, batch)[1])), state)

    return lambda count: jax.block_until_ready(loop(state, count))


if __name__ == "__main__":
    sys.exit(exit_status(main))
