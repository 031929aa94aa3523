"""Made-up records for tests; the figures in them are invented."""

from compactnet.schema import Epoch, RunRecord, summarize


def run_record(run, fingerprint="made up", accuracies=(0.5, 0.4), finished="2020-01-01", **fields):
    """Return a `RunRecord` of a `Run`.

    Args:
        run: The run.
        fingerprint: Fingerprint of its data.
        accuracies: Test accuracies of the last epochs; those before have the first of them. Of more than the run has
            epochs, the last count.
        finished: When it finished.
        **fields: Fields of the record that shall differ.
    """
    before = (accuracies[0],) * (run.training.epochs - len(accuracies))
    history = tuple(
        Epoch(epoch=epoch, train_loss=1, train_accuracy=0.5, test_loss=1.5, test_accuracy=accuracy, seconds=1)
        for epoch, accuracy in enumerate((*before, *accuracies)[-run.training.epochs :], 1)
    )
    predictions = fields.get("predictions")
    tested = len(predictions.arrays[0]) if predictions else 10_000
    coverage = {"train": {"used": 50_000, "total": 50_000}, "test": {"used": tested, "total": tested}}
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
