#!/usr/bin/env python3
"""Rewrite records of format 1 (runs, failures and feature maps of earlier versions) as this version reads them.

Protocols keep their meaning and their hash, so tables stay the same and finished runs stay finished.
"""

import json
import sys
from pathlib import Path

from compactnet.commands import Parser, add_results_option, check_results, run_command


def main():
    from compactnet.experiments.records import write_record
    from compactnet.measure.feature_maps import FILE, write_feature_maps

    parser = Parser(description=__doc__)
    add_results_option(parser, Path("runs"))
    options = parser.parse_args()
    check_results(options.results)
    updated = 0
    for kind in ("records", "failures"):
        for path in sorted((options.results / kind).rglob("*.json")):
            record = _checked(_updated, path)
            if record is not None:
                write_record(path, record)
                updated += 1
    folder = options.results / "records"
    maps = _checked(_updated_feature_maps, folder / FILE)
    if maps is not None:
        write_feature_maps(folder, maps)
        updated += 1
    print(f"{updated} files updated.")


def _checked(read, path):
    """Return what `read(path)` makes of a file, or raise one line about it."""
    from compactnet.errors import InputError

    try:
        return read(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Move it away and run this again.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{path} is not a record of format 1 ({reason}). Move it away and run this again.") from error


def _updated(path):
    """Return a record of format 1 as this version writes it, or None for another file."""
    from compactnet.schema import FailureRecord, RunRecord
    from compactnet.validation import validate

    old = json.loads(path.read_text(encoding="utf-8"))
    if "study" not in old:
        return None
    if "history" in old:
        figures = ("last", "best", "history", "params", "weights_sha256", "coverage", "skipped")
        kept = (*figures, "finished", "duration_seconds", "environment", "protocol_hash")
        new = {name: old[name] for name in kept if name in old}
        new["fingerprint"] = old["protocol"]["data"]["fingerprint"]
        new["resumed"] = old.get("went_on", [])
        return validate(RunRecord, {**new, "run": _run(old)}, path)
    new = {name: old[name] for name in ("reason", "attempts", "log", "finished")}
    return validate(FailureRecord, {**new, "run": _run(old)}, path)


def _run(old):
    protocol = old["protocol"]
    # The fingerprint is the record's own; the normalization of images is no choice.
    data = {name: value for name, value in protocol["data"].items() if name != "fingerprint"}
    if data["source"] == "cifar10":
        data.pop("normalization")
    return {
        "experiment": old["study"],
        "network": {"name": old["network"], "title": old.get("title", old["network"]), **protocol["network"]},
        "seed": old["seed"],
        "data": data,
        "training": protocol["training"],
        "execution": {name: protocol[name] for name in ("backend", "threads")},
    }


def _updated_feature_maps(path):
    """Likewise of feature maps; None also where there are none."""
    import numpy as np

    from compactnet.files import read_npz
    from compactnet.measure.feature_maps import FeatureMaps

    if not path.is_file():
        return None
    arrays = read_npz(path)
    facts = json.loads(arrays["facts"].tobytes())
    if "study" not in facts:
        return None
    facts["experiment"] = facts.pop("study")
    return FeatureMaps(**facts, maps=arrays["maps"].astype(np.float32))


if __name__ == "__main__":
    sys.exit(run_command(main))
