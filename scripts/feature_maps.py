#!/usr/bin/env python3
"""Keep the feature maps that Fig. 6 shows, from a run that was trained with --keep-weights."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import run_command
from compactnet.experiments.job import weights_path
from compactnet.experiments.records import read_record
from compactnet.report.feature_maps import FILE, feature_maps, write_feature_maps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path, help="record of a run on recordings, of a compact network with C=2")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder that holds the data set (default: data)"
    )
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="recording of the test split (default: 0)")
    options = parser.parse_args()
    record = read_record(options.record)
    records = options.record.resolve().parent.parent
    weights = weights_path(records.parent, options.record.resolve().relative_to(records))
    write_feature_maps(records, feature_maps(record, weights, options.data, options.sample))
    print(records / FILE)


if __name__ == "__main__":
    sys.exit(run_command(main))
