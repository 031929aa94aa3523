#!/usr/bin/env python3
"""Rewrite records of format 1 (runs, failures and feature maps of earlier versions) as this version reads them.

Protocols keep their meaning and their hash, so tables stay the same and finished runs stay finished.
"""

import argparse
import json
import sys
from pathlib import Path

from compactnet.commands import add_results_option, run_command


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_results_option(parser, Path("runs"))
    options = parser.parse_args()
    updated = 0
    for kind in ("records", "failures"):
        for path in sorted((options.results / kind).rglob("*.json")):
            updated += _checked(_update, path)
    updated += _checked(_update_feature_maps, options.results / "records")
    print(f"{updated} files updated.")


def _checked(update, path):
    from compactnet.errors import InputError

    try:
        return update(path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{path} is not a record of format 1 ({reason}). Move it away and run this again.") from error


def _update(path):
    from compactnet.experiments.records import write_record
    from compactnet.schema import FailureRecord, RunRecord
    from compactnet.validation import validate

    old = json.loads(path.read_text(encoding="utf-8"))
    if "study" not in old:
        return False
    if "history" in old:
        figures = ("last", "best", "history", "params", "weights_sha256", "coverage", "skipped")
        kept = (*figures, "finished", "duration_seconds", "environment", "protocol_hash")
        new = {name: old[name] for name in kept if name in old}
        new["fingerprint"] = old["protocol"]["data"]["fingerprint"]
        new["resumed"] = old.get("went_on", [])
        record = validate(RunRecord, {**new, "run": _run(old)}, path)
    else:
        new = {name: old[name] for name in ("reason", "attempts", "log", "finished")}
        record = validate(FailureRecord, {**new, "run": _run(old)}, path)
    write_record(path, record)
    return True


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


def _update_feature_maps(folder):
    import numpy as np

    from compactnet.files import read_npz
    from compactnet.measure.feature_maps import FILE, FeatureMaps, write_feature_maps

    if not (folder / FILE).is_file():
        return False
    arrays = read_npz(folder / FILE)
    facts = json.loads(arrays["facts"].tobytes())
    if "study" not in facts:
        return False
    facts["experiment"] = facts.pop("study")
    write_feature_maps(folder, FeatureMaps(**facts, maps=arrays["maps"].astype(np.float32)))
    return True


if __name__ == "__main__":
    sys.exit(run_command(main))
