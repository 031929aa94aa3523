"""Made-up records for tests; the figures in them are invented."""

from compactnet.schema import Epoch, RunRecord, summarize


def run_record(run, fingerprint="made up", accuracies=(0.5, 0.4), finished="2020-01-01", **fields):
    """Return a `RunRecord` of a `Run`.

    Args:
        run: The run.
        fingerprint: Fingerprint of its data.
        accuracies: Test accuracy of each epoch.
        finished: When it finished.
        **fields: Fields of the record that shall differ.
    """
    history = tuple(
        Epoch(epoch=epoch, train_loss=1, train_accuracy=0.5, test_loss=1.5, test_accuracy=accuracy, seconds=1)
        for epoch, accuracy in enumerate(accuracies, 1)
    )
    coverage = {"train": {"used": 50_000, "total": 50_000}, "test": {"used": 10_000, "total": 10_000}}
    content = {
        "run": run,
        "fingerprint": fingerprint,
        "protocol_hash": run.protocol_hash(fingerprint),
        **summarize(history),
        "history": history,
        "params": 1,
        "coverage": coverage,
        "finished": finished,
        "duration_seconds": 60,
    }
    return RunRecord(**content | fields)
