"""`compactnet benchmark`: exported files timed in turns."""

from pathlib import Path

from compactnet.checks import aligned
from compactnet.command.arguments import add_threads, positive
from compactnet.commands import suppress_stderr
from compactnet.errors import InputError

SUMMARY = "Time exported files in turns, one random sample at a time."
EXAMPLES = (
    "compactnet benchmark model.tflite compact.tflite",
    "compactnet benchmark model.tflite model.onnx --rounds 100 --threads 2",
)


def add_arguments(parser):
    """Add the arguments to a parser."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="exported files of any formats; the first is the reference"
    )
    parser.add_argument(
        "--rounds", type=positive, default=30, metavar="N", help="timed calls of each file (default: 30)"
    )
    add_threads(parser)


def run(options):
    """Print the medians, quartiles and ratios."""
    import numpy as np

    from compactnet.processes import processor
    from compactnet.timing import interleaved, ratios

    with suppress_stderr():  # runtimes announce themselves there
        calls = {number: _call(path, options.threads) for number, path in enumerate(options.files)}
    timings = interleaved(calls, options.rounds)
    rows = [("", "ms", "quartiles", "ratio", "quartiles")]
    for number, ratio in ratios(timings, reference=0).items():
        low, middle, high = 1e3 * np.percentile(timings[number].seconds, (25, 50, 75))
        times = (f"{middle:.3f}", f"{low:.3f}-{high:.3f}")
        rows.append((str(options.files[number]), *times, f"{ratio[0]:.3f}", f"{ratio[1]:.3f}-{ratio[2]:.3f}"))
    print("\n".join(aligned(rows)))
    threads = f"{options.threads} thread" + ("s" if options.threads > 1 else "")
    if any(path.is_dir() for path in options.files):
        threads += " (a SavedModel: all threads of TensorFlow)"
    print(f"{options.rounds} rounds in turns, {threads}, {processor()}; ratios of the time to that of the first file")


def _call(path, threads):
    """Return a function without arguments that runs an exported file on a random sample."""
    import numpy as np

    from compactnet.deploy.running import open_file, run_sample

    running = open_file(path, threads)
    if not all(isinstance(extent, int) and extent > 0 for extent in running.input_shape):
        raise InputError(f"{path} leaves the shape of its input open: {running.input_shape}. Export it with a shape.")
    sample = np.random.default_rng(0).normal(size=running.input_shape).astype(np.float32)
    run_sample(path, running, sample)
    return lambda: running.run(sample)
