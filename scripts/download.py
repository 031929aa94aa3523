#!/usr/bin/env python3
"""Download, verify and unpack an official data set."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import run_command
from compactnet.data import cifar10
from compactnet.data.download import fetch

ARCHIVES = {"ic": cifar10.ARCHIVE}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=sorted(ARCHIVES), help="ic: CIFAR-10")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder for the data sets (default: data)")
    options = parser.parse_args()
    archive = ARCHIVES[options.task]
    print(f"{archive.title}: {archive.gigabytes} GB. Licence: {archive.licence}.")
    print(f"{fetch(archive, options.data)}: there.")
    cifar10.verify(options.data)
    print("Every batch matches its official md5.")


if __name__ == "__main__":
    sys.exit(run_command(main))
