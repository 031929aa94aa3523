"""What `compress` did: the layers, the counts, the time, the accuracy."""

from dataclasses import dataclass, replace

from compactnet.checks import aligned
from compactnet.compression.accuracy import accuracy


@dataclass(frozen=True)
class ReplacedLayer:
    """A convolution that became compact.

    Attributes:
        name: Name of the layer, before and after.
        kind: What it was: "Conv2D", "SeparableConv2D" or "1x1 Conv2D after a depthwise one".
        compact_factor: C.
        macs_before: Multiply-accumulates of one sample before, None where they are unknown.
        macs_after: Likewise after; the additions of the interchannel operation are not among them.
        params_before: Number of weights before.
        params_after: Number of weights after, the inner normalization included.
    """

    name: str
    kind: str
    compact_factor: int
    macs_before: int | None
    macs_after: int | None
    params_before: int
    params_after: int


@dataclass(frozen=True)
class SkippedLayer:
    """A convolution that stayed as it was.

    Attributes:
        name: Name of the layer.
        reason: Why.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Times:
    """Inference of one sample.

    Attributes:
        before: Median milliseconds of the original, None if nothing was timed.
        after: Median milliseconds of the compressed model, None if nothing was timed.
        backend: The Keras backend.
        processor: The accelerator, or the number of processor threads.
        missing: Why nothing was timed, or None.
    """

    before: float | None
    after: float | None
    backend: str
    processor: str
    missing: str | None = None


@dataclass(frozen=True)
class CompressionReport:
    """What `compress` did. `str(report)` is a table.

    Attributes:
        replaced: A `ReplacedLayer` for each convolution that became compact, in graph order.
        skipped: A `SkippedLayer` for each other convolution.
        params_before: Number of weights of the original.
        params_after: Number of weights of the compressed model.
        flops_before: FLOPs of one sample by `compactnet.measure.CONVENTION`, None where they are unknown.
        flops_after: Likewise, of the compressed model.
        times: The `Times`.
        warm_start: Whether the compressed model took over what was trained.
        accuracy_before: Accuracy of the original on the calibration data, None without labels.
        accuracy_after: Accuracy of the compressed model on them, before any training.
        accuracy_fine_tuned: Accuracy after fine-tuning, on the data given to `fine_tuned`.
    """

    replaced: tuple
    skipped: tuple
    params_before: int
    params_after: int
    flops_before: int | None
    flops_after: int | None
    times: Times
    warm_start: bool = False
    accuracy_before: float | None = None
    accuracy_after: float | None = None
    accuracy_fine_tuned: float | None = None

    @property
    def milliseconds_before(self):
        """Median milliseconds of the original for one sample, or None."""
        return self.times.before

    @property
    def milliseconds_after(self):
        """Median milliseconds of the compressed model for one sample, or None."""
        return self.times.after

    def fine_tuned(self, model, x, y):
        """Return a copy of the report with the accuracy of the model that you have trained further.

        Args:
            model: The compressed model after training.
            x: Array of inputs.
            y: Integer labels of shape `(samples,)`.

        Returns:
            A `CompressionReport`.

        Raises:
            InputError: the labels or the model's output do not fit.
        """
        return replace(self, accuracy_fine_tuned=accuracy(model, x, y))

    def __str__(self):
        return "\n".join((*self._replaced_lines(), *self._skipped_lines(), "", *self._totals(), "", self._summary()))

    def _replaced_lines(self):
        if not self.replaced:
            return ["No convolution was replaced."]
        rows = [("replaced", "was", "C", "MACs", "", "", "parameters", "", "")]
        rows += [
            (
                row.name,
                row.kind,
                str(row.compact_factor),
                *_change(_short(row.macs_before), _short(row.macs_after)),
                *_change(f"{row.params_before:,}", f"{row.params_after:,}"),
            )
            for row in self.replaced
        ]
        return aligned(rows, left=(0, 1, 4, 7))

    def _skipped_lines(self):
        reasons = {}
        for row in self.skipped:
            reasons.setdefault(row.reason, []).append(row.name)
        if not reasons:
            return []
        return ["", "skipped", *(f"  {_listed(names)}: {reason}" for reason, names in reasons.items())]

    def _totals(self):
        rows = [("parameters", *_change(f"{self.params_before:,}", f"{self.params_after:,}"))]
        if self.flops_before is not None:
            rows.append(("FLOPs", *_change(_short(self.flops_before), _short(self.flops_after))))
        if self.accuracy_before is not None:
            rows.append(("accuracy", *_change(f"{self.accuracy_before:.1%}", f"{self.accuracy_after:.1%}")))
        lines = aligned(rows, left=(0, 2))
        if self.accuracy_before is not None:
            start = "warm start" if self.warm_start else "new weights"
            lines[-1] += f" ({start}, on the calibration data, before fine-tuning)"
        if self.accuracy_fine_tuned is not None:
            lines.append(f"accuracy after fine-tuning: {self.accuracy_fine_tuned:.1%}")
        return lines

    def _summary(self):
        if not self.replaced:
            return "The compressed model is a copy of the original."
        parts = []
        if self.flops_before is not None:
            parts.append(f"{self.flops_before / self.flops_after:.2f}x fewer FLOPs" if self.flops_after else "no FLOPs")
        times = self.times
        if times.missing:
            parts.append(f"not timed: {times.missing}")
            return ", ".join(parts)
        ratio = times.before / times.after
        speed = f"{ratio:.2f}x as fast" if round(ratio, 2) > 1 else f"NOT faster ({ratio:.2f}x as fast)"
        measured = f"({times.before:.1f} ms -> {times.after:.1f} ms, this machine, {times.processor})"
        return ", ".join([*parts, f"{speed} on {times.backend} {measured}"])


def _change(before, after):
    return before, "->", after


def _short(count):
    if count is None:
        return "?"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return str(count)


def _listed(names, shown=6):
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
