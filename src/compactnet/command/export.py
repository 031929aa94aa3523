"""`compactnet export`: a file for a device."""

from pathlib import Path

from compactnet.command.arguments import add_model, shape
from compactnet.command.files import RECORD, read_model, read_samples
from compactnet.commands import add_data_option, import_keras, suppress_stderr
from compactnet.errors import InputError

SUMMARY = "Export a saved model to a file for a device, and verify the file."
EXAMPLES = (
    "compactnet export model.keras model.tflite",
    "compactnet export model.keras model.onnx --labels cat dog --verification test.npz",
    "compactnet export model.keras model.tflite --precision int8 --config configs/ic.yaml --data data",
    "compactnet export runs/records/ic/RUN.json model.tflite --precision int8 --data data",
)
FORMATS = ("litert", "onnx", "openvino", "saved_model")
PRECISIONS = ("float32", "float16", "int8", "int8_dynamic")
FORMS = ("auto", "reduce", "slices", "pooling", "branches", "tied")
VERIFIED = 500
"""Test samples that a file is verified on, with --config."""


def add_arguments(parser):
    """Add the arguments to a parser."""
    add_model(parser)
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="a .tflite, .onnx or .xml (OpenVINO) file, or a folder for a SavedModel"
    )
    parser.add_argument("--format", choices=FORMATS, help="default: what the suffix of OUT says")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="default: float32")
    parser.add_argument(
        "--interchannel",
        choices=FORMS,
        default="auto",
        help="form of the interchannel operation (default: auto, the fastest in the runtime)",
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="X.npz", help="array x of a few hundred training samples, for int8"
    )
    parser.add_argument(
        "--verification", type=Path, metavar="X.npz", help="array x of test samples, and optionally y, class numbers"
    )
    parser.add_argument(
        "--max-drop", type=float, metavar="SHARE", help="largest loss of accuracy, such as 0.01; needs class numbers"
    )
    parser.add_argument(
        "--labels", nargs="+", metavar="NAME", help="names of the classes, or a labels.txt with one a line"
    )
    parser.add_argument(
        "--input", type=shape, metavar="HxWxC", help="shape of a sample, where the model leaves it open"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.yaml",
        help="experiment that the model was trained in: labels, preprocessing, calibration (training split) and "
        f"verification ({VERIFIED} test samples, evenly spaced) come from its data set, unless other options give "
        "them; a record names its data set itself",
    )
    add_data_option(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the config"
    )


def run(options):
    """Write the file and print the report."""
    from compactnet.deploy.running import format_of

    format_of(options.out, options.format)
    if options.overrides and not options.config:
        raise InputError("--set changes the experiment of --config. Give that, or leave --set out.")
    if options.calibration and options.precision != "int8":
        raise InputError(f"--calibration goes with --precision int8. Received: --precision {options.precision}.")
    is_record = options.model.suffix == RECORD
    if is_record and options.config:
        raise InputError("A record names its data set. Leave out --config.")
    given = {"labels": _labels(options.labels)}
    if options.calibration:
        given["calibration_data"] = read_samples(options.calibration)[0]
    if options.verification:
        x, y = read_samples(options.verification)
        given["verification_data"] = x if y is None else (x, y)
    if not is_record and not options.config:
        _check_samples(options, given)
    import_keras()
    from compactnet.deploy import export
    from compactnet.experiments.records import read_record
    from compactnet.experiments.trained import load_data

    model = read_model(options.model)
    if is_record or options.config:
        if is_record:
            record = read_record(options.model)
            fold, dataset = record.run.data, load_data(record, options.data)
        else:
            fold = _fold_of_config(options)
            dataset = fold.load(options.data)
        # What was given on the command line comes last, and wins.
        given = _of_data_set(fold, dataset, options) | {
            name: value for name, value in given.items() if value is not None
        }
    with suppress_stderr():  # runtimes announce themselves there
        report = export(
            model,
            options.out,
            options.format,
            precision=options.precision,
            max_drop=options.max_drop,
            input_signature=options.input,
            interchannel=options.interchannel,
            **given,
        )
    print(report)


def _check_samples(options, given):
    """Refuse a model without a data set for which an option is missing."""
    precision, other = options.precision, "or --config, the experiment of its data set"
    if precision == "int8" and "calibration_data" not in given:
        raise InputError(f"--precision int8 needs --calibration, a file with training samples, {other}.")
    if precision in ("float16", "int8_dynamic") and "verification_data" not in given:
        raise InputError(f"--precision {precision} needs --verification, a file with test samples, {other}.")
    if options.max_drop is not None and not isinstance(given.get("verification_data"), tuple):
        raise InputError(f"--max-drop needs --verification, a file with test samples x and classes y, {other}.")


def _labels(given):
    """Return the list of class names, or None."""
    if given is None or len(given) > 1 or not given[0].lower().endswith(".txt"):
        return given
    try:
        lines = Path(given[0]).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{given[0]} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    return [line.strip() for line in lines if line.strip()]


def _fold_of_config(options):
    """Return the one fold of an experiment's data."""
    from compactnet.experiments.config import load_experiment

    folds = load_experiment(options.config, options.overrides).data.folds()
    if len(folds) > 1:
        names = ", ".join(fold.fold_name for fold in folds)
        raise InputError(
            f"{options.config} splits its data in {len(folds)} ways ({names}). Say which one the model was trained on, "
            "for example --set data.test_folds=[10]."
        )
    return folds[0]


def _of_data_set(fold, dataset, options):
    """Return the arguments of `export` that a fold and its loaded data set give."""
    from compactnet.data import AudioSection
    from compactnet.deploy import AudioPreprocessing, ImagePreprocessing, calibration_samples
    from compactnet.deploy.exporting import spaced

    if isinstance(fold, AudioSection):
        preprocessing = AudioPreprocessing.of(fold.features, dataset)
    else:
        preprocessing = ImagePreprocessing.of(dataset)
    return {
        "labels": list(dataset.class_names),
        "preprocessing": preprocessing,
        "calibration_data": calibration_samples(dataset)[0] if options.precision == "int8" else None,
        "verification_data": dataset.batch(dataset.test, spaced(len(dataset.test), VERIFIED)),
    }
