"""`compactnet predict`: classes of sound and image files, where only the runtime of the file is installed."""

import json
from pathlib import Path

from compactnet.command.arguments import add_threads, positive
from compactnet.commands import print_error, suppress_stderr
from compactnet.errors import InputError

SUMMARY = "Classify sound or image files with an exported file."
EXAMPLES = (
    "compactnet predict model.tflite street.wav park.wav",
    "compactnet predict model.onnx cat.png --top 1 --json",
)


def add_arguments(parser):
    """Add the arguments to a parser."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="what compactnet export wrote, with labels and preprocessing"
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="sound or image files")
    parser.add_argument("--top", type=positive, default=3, metavar="N", help="most probable classes (default: 3)")
    add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print each line as JSON")


def run(options):
    """Print a line for each file; return 2 if one of them cannot be read, after the others."""
    from compactnet.deploy import load

    with suppress_stderr():  # runtimes announce themselves there
        model = load(options.file, options.threads)
    needed = {"what its classes are called": model.labels, "how its input is made": model.preprocessing}
    if missing := [text for text, given in needed.items() if given is None]:
        raise InputError(
            f"{options.file} does not say {' and '.join(missing)}. Export it from Python with `labels` and "
            "`preprocessing` or, if its data set has a config, with that: compactnet export ... --config "
            "configs/ic.yaml --data data"
        )
    status = 0
    for path in options.inputs:
        try:
            classes = model.classify(path, options.top)
        except InputError as error:
            print_error(error)
            status = 2
            continue
        print(_as_json(path, classes) if options.json else _as_text(path, classes), flush=True)
    return status


def _as_text(path, classes):
    return f"{path}: " + ", ".join(f"{label} {100 * probability:.1f} %" for label, probability in classes)


def _as_json(path, classes):
    named = [{"label": label, "probability": probability} for label, probability in classes]
    return json.dumps({"file": str(path), "classes": named})
