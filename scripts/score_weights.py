#!/usr/bin/env python3
"""Score the networks that come with weights on the test images again, and compare with the records."""

import sys

from compactnet.commands import Parser, add_data_option, run_command

TOLERANCE = 2
"""Images that another processor may classify differently."""


def main():
    import numpy as np

    from compactnet.data import Cifar10
    from compactnet.networks import PRETRAINED, build, pretrained

    parser = Parser(description=__doc__)
    add_data_option(parser)
    options = parser.parse_args()
    dataset = Cifar10(source="cifar10").load(options.data)
    wrong = 0
    for name, weights in PRETRAINED:
        known = pretrained(name, weights)
        model = build(name, weights=weights)
        right = 0
        for start in range(0, len(dataset.test), 500):
            part = slice(start, start + 500)
            outputs = model.predict_on_batch(known.normalize(dataset.test.read(part)))
            right += int(np.sum(outputs.argmax(axis=-1) == dataset.test.labels[part]))
        count = len(dataset.test)
        apart = abs(right - round(known.accuracy * count))
        wrong += apart > TOLERANCE
        print(
            f"{name} ({weights}): {right} of {count} right, {100 * right / count:.2f} %; the record says "
            f"{100 * known.accuracy:.2f} %{', which differs' if apart > TOLERANCE else ''}"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run_command(main))
