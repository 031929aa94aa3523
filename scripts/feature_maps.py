#!/usr/bin/env python3
"""Keep the feature maps that Fig. 6 shows, from a run that was trained with --keep-weights."""

import sys
from pathlib import Path

from compactnet.commands import Parser, add_data_option, run_command


def main():
    from compactnet.experiments.records import read_record
    from compactnet.experiments.trained import weights_path
    from compactnet.measure.feature_maps import FILE, extract_feature_maps, write_feature_maps

    parser = Parser(description=__doc__)
    parser.add_argument("record", type=Path, help="record of a run on recordings, of a compact network with C=2")
    add_data_option(parser)
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="recording of the test split (default: 0)")
    options = parser.parse_args()
    record, weights = read_record(options.record), weights_path(options.record)
    records = options.record.resolve().parent.parent
    write_feature_maps(records, extract_feature_maps(record, weights, options.data, options.sample))
    print(records / FILE)


if __name__ == "__main__":
    sys.exit(run_command(main))
