#!/usr/bin/env python3
"""Download, verify and unpack an official data set."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import run_command
from compactnet.data import cifar10, dcase2019, urbansound8k
from compactnet.data.download import fetch

DOWNLOADS = {"asc": dcase2019.DOWNLOAD, "sed": urbansound8k.DOWNLOAD, "ic": cifar10.DOWNLOAD}


def main():
    titles = ", ".join(f"{task}: {download.title}" for task, download in DOWNLOADS.items())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=DOWNLOADS, help=titles)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder for the data sets (default: data)")
    options = parser.parse_args()
    download = DOWNLOADS[options.task]
    count = len(download.archives)
    print(
        f"{download.title}: {download.gigabytes:g} GB in {count} archive{'s' * (count > 1)}, and as much again once "
        f"unpacked. Licence: {download.licence}.",
        flush=True,
    )
    print(f"{fetch(download, options.data)}: there.")
    if options.task == "ic":
        cifar10.verify(options.data)
        print("Every batch matches its official md5.")


if __name__ == "__main__":
    sys.exit(run_command(main))
