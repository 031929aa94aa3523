import pytest
import yaml

from compactnet.errors import InputError
from compactnet.experiments.config import load_experiment, load_shipped

MINIMAL = {
    "name": "small",
    "data": {"source": "cifar10"},
    "networks": ["xvgg8"],
    "training": {"epochs": 2},
    "seeds": [0, 1],
}


@pytest.fixture
def write(tmp_path):
    def write_config(content):
        path = tmp_path / "config.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write_config


def test_every_shipped_config_loads(repository):
    paths = sorted((repository / "configs").rglob("*.yaml"))
    assert len(paths) >= 6
    for path in paths:
        folder = path.parent.name
        assert load_experiment(path).name == (
            f"{folder}-{path.stem}" if folder in ("sample", "evidence") else path.stem
        )


def test_two_configs_with_one_name_are_refused(tmp_path, repository):
    ic = (repository / "configs" / "ic.yaml").read_text()
    (tmp_path / "ic.yaml").write_text(ic)
    (tmp_path / "my-ic.yaml").write_text(ic)
    with pytest.raises(InputError, match=r"ic\.yaml and .*my-ic\.yaml both have the name 'ic'\. Give one"):
        load_shipped(tmp_path)


def test_every_shipped_config_opens_with_its_source_its_command_and_its_cost(repository):
    for path in (repository / "configs").rglob("*.yaml"):
        header = path.read_text().split("name:")[0]
        assert "# Run:   make" in header, path
        if path.parent.name != "sample":
            assert "# Paper: Liang, Zhang, Feng" in header, path
            assert "# Cost:" in header, path


def test_defaults_are_the_papers(write):
    config = load_experiment(write(MINIMAL))
    assert config.training.optimizer == "adam"
    assert config.training.learning_rate == 0.001
    assert config.training.batch_size == 32


def test_an_override_has_the_type_that_yaml_gives_it(write):
    path = write(MINIMAL)
    changes = ["training.epochs=3", "seeds=[7]", "training.learning_rate=1e-3", "skeletons.vgg8.padding=same"]
    config = load_experiment(path, changes)
    assert config.training.epochs == 3
    assert config.seeds == (7,)
    assert config.training.learning_rate == 0.001
    assert config.networks[0].skeleton.padding == "same"
    assert load_experiment(path, ["data.resize_to=[64, 64]"]).data.resize_to == (64, 64)


def test_yaml_that_reads_1e_3_as_text_still_means_the_number(write):
    text = yaml.safe_dump(MINIMAL).replace("epochs: 2", "epochs: 2\n  learning_rate: 1e-3")
    assert yaml.safe_load(text)["training"]["learning_rate"] == "1e-3"
    assert load_experiment(write(text)).training.learning_rate == 0.001


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sedes": [0]}, r"unknown key 'sedes'\. Did you mean 'seeds'"),
        ({"training": {"epochs": 2, "lerning_rate": 0.1}}, r"unknown key 'training.lerning_rate'.*'learning_rate'"),
        ({"training": {"epochs": "many"}}, r"training\.epochs.*Received: 'many'"),
        ({"training": {"epochs": 0}}, r"training\.epochs.*Received: 0"),
        ({"training": {"epochs": 2.5}}, r"training\.epochs.*Received: 2\.5"),
        ({"training": {}}, r"training\.epochs' is missing"),
        ({"data": {"source": "mnist"}}, r"data\.source.*Received: 'mnist'"),
        ({"networks": []}, r"networks.*Received: \[\]"),
        ({"networks": ["xvgg8", "xvgg8"]}, r"networks: 'xvgg8' is listed twice"),
        ({"networks": [{"name": "a", "base": "xvgg8", "widht": 2}]}, r"unknown key 'networks\.0\.widht'"),
        ({"seeds": [1, 1]}, r"seeds: 1 is listed twice"),
        ({"seeds": [-1]}, r"seeds\.0.*Received: -1"),
        ({"table": "table4", "data": {"source": "cifar10", "generated": True}}, r"never shows generated data"),
    ],
)
def test_a_wrong_config_is_refused_in_one_line_with_the_key(write, change, reason):
    path = write({**MINIMAL, **change})
    with pytest.raises(InputError, match=reason) as refusal:
        load_experiment(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("training.epoch=3", r"unknown key 'training\.epoch'\. Did you mean 'epochs'"),
        ("optimizer=adam", r"unknown key 'optimizer'"),
        ("name.first=a", r"'name' has no keys of its own"),
        ("training.epochs", r"takes key=value"),
        ("=3", r"takes key=value"),
        ("training.epochs=[", r"not valid YAML"),
        ("networks.0=vgg8", r"'networks' has no keys of its own"),
        ("threads=Auto", r"threads: Input should be 'auto' or an integer of at least 1\. Received: 'Auto'$"),
        ("networks=[vgg9]", r"Unknown network 'vgg9'\. Did you mean 'vgg8' or 'xvgg8'\?$"),
        (
            "data={source: urbansound8k, features: {seconds: 1e+308}}",
            r"seconds: .*less than or equal to 3600.*'1e\+308'$",
        ),
        ("data={source: dcase2019, labels: [a, b, a]}", r"data\.labels: 'a' is listed twice\.$"),
        ("data={source: dcase2019, features: {fft: 2049}}", r"`fft` must be even\. Received: fft=2049$"),
    ],
)
def test_a_wrong_override_is_refused_in_one_line(write, change, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        load_experiment(write(MINIMAL), [change])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "seeds:\n",
            "name: other\nseeds:\n",
            r"the key 'name' is in line \d+ and again in line \d+\. Remove one of them\.$",
        ),
        (
            "  epochs: 2\n",
            "  epochs: 2\n  batch_size: 8\n  'epochs': 3\n",
            r"'epochs' is in line 10 and again in line 12",
        ),
        ("  epochs: 2\n", "  {epochs: 2, epochs: 2}\n", r"'epochs' is in line 10 and again in line 10"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(write, old, new, reason):
    text = yaml.safe_dump(MINIMAL)
    assert old in text
    with pytest.raises(InputError, match=reason) as refusal:
        load_experiment(write(text.replace(old, new)))
    assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match=r"--set training: the value .* is not valid YAML"):
        load_experiment(write(MINIMAL), ["training={epochs: 2, epochs: 3}"])


def test_merge_keys_of_yaml_may_name_a_key_again(write):
    text = yaml.safe_dump({key: value for key, value in MINIMAL.items() if key != "training"})
    text += """
training: &base
  <<: &more {learning_rate: 0.1, epochs: 7}
  <<: {batch_size: 8}
  epochs: 3
launcher:
  <<: {minutes: 5}
  minutes: 9
"""
    config = load_experiment(write(text))
    assert (config.training.epochs, config.training.learning_rate, config.training.batch_size) == (3, 0.1, 8)
    assert config.launcher.minutes == 9
    text = "<<: &all {name: small, seeds: [1], training: {epochs: 2}, <<: {seeds: [2], networks: [xvgg8]}}\n"
    config = load_experiment(write(text + "data: {source: cifar10}\nseeds: [3]\n"))
    assert config.seeds == (3,)


@pytest.mark.parametrize("content", ["a: [", "just text", "- a\n- list", ""])
def test_a_file_that_is_not_a_yaml_mapping_is_refused(write, content):
    with pytest.raises(InputError, match=r"not valid YAML|must be a mapping") as refusal:
        load_experiment(write(content))
    assert "\n" not in str(refusal.value)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml cannot be read"):
        load_experiment(tmp_path / "nowhere.yaml")
