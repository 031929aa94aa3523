#!/usr/bin/env python3
"""Generate small data sets in the official layouts. None of it is real."""

import sys
from pathlib import Path

from compactnet.commands import Parser, run_command


def main():
    from compactnet.data.synthetic import generate_cifar10, generate_events, generate_scenes

    parser = Parser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for the generated data sets")
    options = parser.parse_args()
    print(f"{generate_scenes(options.data)}: generated scenes.")
    print(f"{generate_events(options.data)}: generated events.")
    print(f"{generate_cifar10(options.data)}: generated images.")


if __name__ == "__main__":
    sys.exit(run_command(main))
