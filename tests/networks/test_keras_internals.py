"""Undocumented attributes of Keras are read in one file, which a bound on Keras' version protects."""

import re

import keras
import pytest

from compactnet.networks.keras_internals import computation_nodes, producer, sublayers, takes_training


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((4,), name="inputs")
    hidden = keras.layers.Dense(4, name="hidden")(inputs)
    outputs = keras.layers.Add(name="sum")([inputs, keras.layers.Dropout(0.5, name="dropout")(hidden)])
    return keras.Model(inputs, outputs)


def test_nodes_come_after_those_they_depend_on_and_without_inputs(model):
    computed = list(computation_nodes(model))
    assert [node.operation.name for node in computed] == ["hidden", "dropout", "sum"]
    assert computed[2].input_tensors == [model.inputs[0], *computed[1].output_tensors]


def test_the_producer_of_a_tensor_is_a_call_with_its_inputs(model):
    operation, inputs = producer(model.outputs[0])
    assert operation is model.get_layer("sum")
    assert [producer(tensor)[0].name for tensor in inputs] == ["inputs", "dropout"]
    assert producer(model.inputs[0]) == (model.get_layer("inputs"), [])


def test_sublayers_are_those_of_one_level(model):
    outer = keras.Sequential([keras.Input((4,)), model, keras.layers.ReLU(name="relu")])
    assert sublayers(outer)[-2:] == [model, outer.get_layer("relu")]
    assert list(sublayers(model.get_layer("hidden"))) == []


def test_layers_say_whether_they_take_training(model):
    assert takes_training(model.get_layer("dropout"))
    assert not takes_training(model.get_layer("sum"))


def test_no_other_file_reads_private_attributes_of_keras_objects(repository):
    names = re.compile(r"\._(nodes_by_depth|layers|flatten_layers|keras_history|inbound_nodes|call_has_training_arg)\b")
    private = re.compile(r"\b(?!self\b|cls\b|os\b)\w+\._[a-z]\w*|\bkeras\.src\b")
    package = repository / "src" / "compactnet"
    for path in sorted(package.rglob("*.py")):
        text = path.read_text()
        if path.relative_to(package).as_posix() != "networks/keras_internals.py":
            assert not names.search(text), path
            assert "keras" not in text or not private.search(text), path


def test_the_version_of_keras_has_an_upper_bound(repository):
    (bounds,) = re.findall(r"^ +keras(.*)$", (repository / "setup.cfg").read_text(), re.MULTILINE)
    assert re.search(r"<3\.16(,|$)", bounds)
