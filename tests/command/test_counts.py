"""`compactnet networks` and `compactnet complexity`."""

import keras
import pytest

from compactnet.networks import CATALOGUE, build
from compactnet.networks.complexity import complexity
from tests.command.calls import assert_refused, call
from tests.command.models import image_model


def test_networks_are_listed_with_their_titles(capsys):
    assert call("networks") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CATALOGUE)
    assert all(line.endswith(spec.title) for line, spec in zip(lines, CATALOGUE.values(), strict=True))


@pytest.mark.parametrize(("text", "count"), [("slim", 3), ("Sc-ResNet-101", 1), ("COMPACT_VGG", 9)])
def test_networks_are_found_by_name_or_title(text, count, capsys):
    assert call("networks", text) == 0
    assert len(capsys.readouterr().out.splitlines()) == count


def test_no_network_is_found(capsys):
    assert_refused(call("networks", "mobilnet_v1_100"), capsys, "Did you mean 'mobilenet_v1_100'")


def test_counts_of_a_network(capsys):
    counted = complexity(build("mobilenet_v1_025", (32, 32, 3), 4))
    assert call("complexity", "mobilenet_v1_025", "--input", "32x32x3", "--classes", "4", "--layers") == 0
    output = capsys.readouterr().out
    totals, layers = output.split("\n\n")
    assert totals.splitlines()[0] == "mobilenet_v1_025, input 32x32x3"
    values = dict(line.rsplit(None, 1) for line in totals.splitlines()[1:5])
    assert values == {
        "parameters": f"{counted.params:,}",
        "MFLOPs": f"{counted.mflops:.2f}",
        "peak activation MB": f"{counted.peak_activation_bytes / 1e6:.2f}",
        "weight MB": f"{counted.weight_bytes / 1e6:.2f}",
    }
    assert totals.splitlines()[5] == f"FLOPs: {counted.convention}"
    assert len(layers.splitlines()) == 1 + len(counted.layers)


def test_the_users_keras_settings_change_nothing(capsys):
    keras.config.set_image_data_format("channels_first")
    try:
        assert call("complexity", "mobilenet_v1_025", "--input", "32x32x3") == 0
        assert keras.config.image_data_format() == "channels_last"
    finally:
        keras.config.set_image_data_format("channels_last")
    assert capsys.readouterr().out.startswith("mobilenet_v1_025, input 32x32x3")


def test_counts_of_a_saved_model(place, capsys):
    assert call("complexity", place / "model.keras") == 0
    output = capsys.readouterr().out
    assert output.startswith("small, input 8x8x3\n")
    assert f"{image_model().count_params():,}" in output


def test_a_saved_model_with_an_open_input(tmp_path, capsys):
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs), name="open").save(tmp_path / "open.keras")
    assert_refused(call("complexity", tmp_path / "open.keras"), capsys, "fixed input shape")
    assert_refused(call("complexity", tmp_path / "open.keras", "--input", "8x8x4"), capsys, "(None, None, 3)")
    assert call("complexity", tmp_path / "open.keras", "--input", "8x8x3") == 0
    assert capsys.readouterr().out.startswith("open, input 8x8x3\n")


def test_layers_without_a_rule_are_named(tmp_path, capsys):
    inputs = keras.Input((4, 3))
    keras.Model(inputs, keras.layers.LSTM(2, name="memory")(inputs)).save(tmp_path / "lstm.keras")
    assert call("complexity", tmp_path / "lstm.keras") == 0
    assert "for want of a rule: memory" in capsys.readouterr().out


def test_wrong_counts(place, tmp_path, capsys):
    assert_refused(call("complexity", "vgg9"), capsys, "Did you mean 'vgg8'")
    assert_refused(call("complexity", tmp_path / "no.keras"), capsys, "no.keras does not exist.")
    assert_refused(call("complexity", place / "model.keras", "--classes", "4"), capsys, "--classes is for networks")
    (tmp_path / "damaged.keras").write_bytes(b"PK\3\4")
    assert_refused(call("complexity", tmp_path / "damaged.keras"), capsys, "cannot be read as a Keras model")


def test_a_peak_that_nothing_tells_is_not_known(tmp_path, capsys):
    inputs = keras.Input((5, 4))
    hidden = keras.layers.EinsumDense("bij,jk->bik", output_shape=(None, 3), name="einsum")(inputs)
    keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(hidden)).save(tmp_path / "model.keras")
    assert call("complexity", str(tmp_path / "model.keras")) == 0
    output = capsys.readouterr().out
    assert "not known" in output
    assert "want of a rule: einsum" in output
