#!/usr/bin/env python3
"""Download, verify and unpack an official data set."""

import sys

from compactnet.commands import Parser, add_data_option, run_command


def main():
    from compactnet.data import cifar10, dcase2019, urbansound8k
    from compactnet.data.download import fetch

    downloads = {"asc": dcase2019.DOWNLOAD, "sed": urbansound8k.DOWNLOAD, "ic": cifar10.DOWNLOAD}
    titles = ", ".join(f"{task}: {download.title}" for task, download in downloads.items())
    parser = Parser(description=__doc__)
    parser.add_argument("task", choices=downloads, help=titles)
    add_data_option(parser)
    options = parser.parse_args()
    download = downloads[options.task]
    count = len(download.archives)
    print(
        f"{download.title}: {download.gigabytes:g} GB in {count} archive{'s' * (count > 1)}, each "
        f"removed once it is unpacked. Licence: {download.licence}.",
        flush=True,
    )
    print(f"Unpacked to {fetch(download, options.data)}.")
    if options.task == "ic":
        cifar10.verify(options.data)
        print("Every batch matches its official md5.")


if __name__ == "__main__":
    sys.exit(run_command(main))
