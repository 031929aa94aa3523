#!/usr/bin/env python3
"""Time and score the networks that come with weights in every format, precision and form of the interchannel operation.

One thread, one sample at a time, all forms of a format and precision in turns; accuracy on CIFAR-10's test images.
`--table` prints the rows that were kept as the table of docs/deploy.md.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from common import kept_rows, read_rows, write_rows

from compactnet.commands import Parser, exit_status, import_keras

ROWS = Path(__file__).with_suffix(".jsonl")
FORMATS = ("litert", "onnx", "openvino")
NAMES = {"litert": "LiteRT", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets (default: data)")
    parser.add_argument("--out", type=Path, default=ROWS, help="file of rows, one line of JSON each")
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="the rows of others in --out are kept")
    parser.add_argument("--images", type=int, default=2_000, help="test images, the first ones (default: 2000)")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--table", action="store_true", help="print the table of the rows in --out, time nothing")
    options = parser.parse_args()
    if options.table:
        print("\n".join(_table(read_rows(options.out))))
        return 0

    from compactnet.processes import job_environment

    os.environ.update(job_environment("tensorflow", 1, "cpu"))
    import_keras()
    groups = _groups(kept_rows(options.out))
    # Written after each file, so that nothing is lost if a later one fails.
    for measured in _measure(options):
        groups |= _groups(measured)
        write_rows(options.out, [row for rows in groups.values() for row in rows])
    return 0


def _groups(rows):
    """Return {(network, format, precision): rows of what was timed in turns}."""
    groups = {}
    for row in rows:
        groups.setdefault((row["network"], row["format"], row["precision"]), []).append(row)
    return groups


def _measure(options):
    """Yield the rows of each format and precision of each network."""
    from compactnet.data import Cifar10
    from compactnet.deploy import calibration_samples
    from compactnet.deploy.converting import SUPPORTED
    from compactnet.deploy.folding import candidate_forms
    from compactnet.errors import InputError
    from compactnet.networks import PRETRAINED, build
    from compactnet.processes import available_cores, processor

    known = [name for name, _ in PRETRAINED]
    if unknown := [name for name in options.only or () if name not in known]:
        raise InputError(f"--only takes {', '.join(known)}. Received: {', '.join(unknown)}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, available_cores()[:1])
    dataset = Cifar10(source="cifar10").load(options.data)
    calibration, _ = calibration_samples(dataset)
    test = dataset.batch(dataset.test, slice(0, options.images))
    for name, weights in PRETRAINED:
        if options.only and name not in options.only:
            continue
        model = build(name, weights=weights)
        forms = candidate_forms(model)
        for format in FORMATS:
            for precision in SUPPORTED[format]:
                measured = _forms(model, forms, format, precision, calibration, test, options.rounds)
                shared = {"network": name, "format": format, "precision": precision}
                rows = [{**shared, **row, "processor": processor()} for row in measured]
                print(*rows, sep="\n", flush=True)
                yield rows


def _forms(model, forms, format, precision, calibration, test, rounds):
    from compactnet.deploy.exporting import converted_files
    from compactnet.timing import interleaved

    kept = [*forms, "tied"] if forms else ["slices"]
    with tempfile.TemporaryDirectory() as folder:
        samples = calibration if precision == "int8" else None
        files, refused = converted_files(model, kept, format, precision, samples, test, folder, bounded=False)
        calls = {form: lambda file=file: file.running.run(test[0][:1]) for form, file in files.items()}
        timings = interleaved(calls, rounds)
        for form, file in files.items():
            content = file.path.stat().st_size + (
                file.path.with_suffix(".bin").stat().st_size if format == "openvino" else 0
            )
            yield {
                "form": form if forms else None,
                "milliseconds": round(1e3 * timings[form].median, 4),
                "bytes": content,
                "accuracy": round(file.accuracy[1], 5),
                "accuracy_of_model": round(file.accuracy[0], 5),
                "agreement": round(file.agreement, 5),
                "images": len(test[1]),
            }
        for form, reason in refused.items():
            print(f"{format}, {precision}, {form}: {reason}", flush=True)


def _table(rows):
    forms = ["reduce", "slices", "pooling", "branches", "tied"]
    yield (
        "| network | runtime | precision | "
        + " | ".join(forms)
        + " | no operation | kB | accuracy, % | same class, % |"
    )
    yield "|---|---|---|" + "--:|" * (len(forms) + 4)
    for (network, format, precision), group in _groups(rows).items():
        best = min(group, key=lambda row: row["milliseconds"])
        if group[0]["form"] is None:
            times = [*[""] * len(forms), f"{best['milliseconds']:.3f}"]
        else:
            found = {row["form"]: row["milliseconds"] for row in group}
            shown = {form: f"{value:.3f}" for form, value in found.items()}
            shown[best["form"]] = f"**{shown[best['form']]}**"
            times = [*(shown.get(form, "") for form in forms), ""]
        yield (
            f"| `{network}` | {NAMES[format]} | {precision} | {' | '.join(times)} | {best['bytes'] / 1e3:.0f} | "
            f"{100 * best['accuracy']:.2f} | {100 * best['agreement']:.2f} |"
        )


if __name__ == "__main__":
    sys.exit(exit_status(main))
