"""Models refuse unknown keys and wrong values with one line that names the key."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator, model_validator

from compactnet.errors import InputError
from compactnet.validation import Count, Number, StrictModel, read_json, validate


class Cat(StrictModel):
    kind: Literal["cat"] = "cat"
    lives: Count = 9


class Dog(StrictModel):
    kind: Literal["dog"] = "dog"
    weight: Annotated[Number, Field(gt=0)] = 1.0

    @field_validator("weight")
    @classmethod
    def _liftable(cls, weight):
        if weight > 100:
            raise ValueError(f"a dog of that weight cannot be carried. Received: {weight}")
        return weight


AnyPet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Home(StrictModel):
    name: str
    pets: tuple[AnyPet, ...] = ()
    favourite: AnyPet | None = None
    rooms: dict[str, Count] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _room_for_pets(self):
        if len(self.pets) > 2:
            raise ValueError("it is too small for so many pets")
        return self


def pets(*content):
    return {"name": "a", "pets": list(content)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "the key 'name' is missing."),
        ({"nam": "a"}, "unknown key 'nam'. Did you mean 'name'?"),
        ({"name": "a", "zzz": 1}, "unknown key 'zzz'. Known: name, pets, favourite, rooms."),
        ({"name": "a", 1: 2}, "unknown key '1'. Known: name, pets, favourite, rooms."),
        ({"name": 3}, "name: Input should be a valid string. Received: 3"),
        ({"name": "a", "rooms": {"hall": 0}}, "rooms.hall: Input should be greater than or equal to 1. Received: 0"),
        (["a"], "Input should be a valid dictionary or instance of Home. Received: ['a']"),
        (None, "Input should be a valid dictionary or instance of Home. Received: None"),
        # A path names the keys of the file, and not the member of the union.
        (pets({"kind": "cat", "live": 3}), "unknown key 'pets.0.live'. Did you mean 'lives'?"),
        (pets({"kind": "cat"}, {"kind": "dog", "weight": -1}), "pets.1.weight: Input should be greater than 0. "),
        ({"name": "a", "favourite": {"kind": "cat", "lives": 0}}, "favourite.lives: Input should be greater than or "),
        (pets({"kind": "cow"}), "pets.0.kind must be one of 'cat', 'dog'. Received: 'cow'"),
        (pets({"kind": ["cat"]}), "pets.0.kind must be one of 'cat', 'dog'. Received: "),
        (pets({"lives": 3}), "the key 'pets.0.kind' is missing."),
        (pets("cat"), "pets.0: Input should be a valid dictionary or object to extract fields from. Received: 'cat'"),
        # A validator's message may contain the value itself.
        (pets({"kind": "dog", "weight": 101}), "pets.0.weight: a dog of that weight cannot be carried. Received: 101"),
        (pets(*[{"kind": "cat"}] * 3), "it is too small for so many pets."),
    ],
)
def test_each_problem_is_one_line_with_its_key(content, reason):
    with pytest.raises(InputError) as refusal:
        validate(Home, content, "home.yaml")
    (line,) = refusal.value.lines
    assert line.startswith(f"home.yaml: {reason}")
    assert line.count("Received: ") <= 1


def test_the_first_of_many_problems_is_shown():
    with pytest.raises(InputError) as refusal:
        validate(Home, {"name": "a\nb", "pets": [{"kind": "dog", "weight": "x\ny"}, {"kind": "cat", "lives": 0}]}, "f")
    (line,) = refusal.value.lines
    assert line.startswith("f: pets.0.weight: Input should be a valid number")
    assert "lives" not in line


@pytest.mark.parametrize(
    "content",
    [
        {"name": ["x" * 10**6]},
        {"name": "a", "y" * 10**6: 1},
        {"name": "a", "favourite": {"kind": "z" * 10**6}},
        {"name": "a", "favourite": {"kind": "dog", "weight": "1" * 10**6 + "x"}},
    ],
)
def test_a_long_value_is_cut(content):
    with pytest.raises(InputError) as refusal:
        validate(Home, content, "home.yaml")
    (line,) = refusal.value.lines
    assert 200 < len(line) < 400
    assert "... (1,000,0" in line


def test_a_question_ends_in_one_mark():
    class Asking(StrictModel):
        name: str

        @field_validator("name")
        @classmethod
        def _ask(cls, name):
            raise ValueError("Did you mean 'b'?")

    with pytest.raises(InputError, match=r"^name: Did you mean 'b'\?$"):
        Asking(name="a")


@pytest.mark.parametrize(("text", "number"), [("1e-3", 0.001), ("2.5E1", 25.0), ("7", 7.0)])
def test_a_number_can_be_given_as_text(text, number):
    # YAML 1.1 reads 1e-3 as text.
    assert validate(Dog, {"weight": text}, "dog").weight == number


@pytest.mark.parametrize("value", [True, False, "heavy", "1e", "", None, [1.0], float("nan"), "nan", "inf"])
def test_a_number_is_finite_and_no_boolean(value):
    with pytest.raises(InputError, match=r"^dog: weight: .* Received: ") as refusal:
        validate(Dog, {"weight": value}, "dog")
    assert len(refusal.value.lines) == 1


@pytest.mark.parametrize("value", [True, False, 2.0, "2", "1e1", 0, -1, None])
def test_a_count_is_an_integer_of_at_least_1(value):
    with pytest.raises(InputError, match=r"^cat: lives: .* Received: "):
        validate(Cat, {"lives": value}, "cat")
    assert validate(Cat, {"lives": 1}, "cat").lives == 1


@pytest.mark.parametrize(
    ("construct", "reason"),
    [
        (lambda: Cat(lives=0), "lives: Input should be greater than or equal to 1. Received: 0"),
        (lambda: Cat(live=2), "unknown key 'live'. Did you mean 'lives'?"),
        (lambda: Cat(kind="dog"), "kind: Input should be 'cat'. Received: 'dog'"),
        (Home, "the key 'name' is missing."),
        (lambda: Home(**pets({"kind": "cat", "lives": 0})), "pets.0.lives: Input should be greater than or equal"),
    ],
)
def test_construction_in_python_raises_the_same_messages(construct, reason):
    with pytest.raises(InputError) as refusal:
        construct()
    (line,) = refusal.value.lines
    assert line.startswith(reason)
    assert isinstance(refusal.value, ValueError)


def test_fields_accept_instances_and_are_frozen():
    home = Home(name="a", pets=[Cat(lives=3), {"kind": "dog"}])
    assert home == validate(Home, pets({"kind": "cat", "lives": 3}, {"kind": "dog"}), "home")
    assert Home.model_validate_json(home.model_dump_json()) == home
    with pytest.raises(ValueError, match="frozen"):
        home.name = "b"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"name": 3}', "name: Input should be a valid string. Received: 3."),
        (b'{"nam": "a"}', "unknown key 'nam'. Did you mean 'name'? Delete"),
        (b'{"name": "a"', "Invalid JSON: "),
        (b"[]", "Input should be an object. Received: []."),
        (b"", "Invalid JSON: "),
        (b"\xff\xfe", "Invalid JSON: "),
    ],
)
def test_a_file_that_does_not_fit_the_model_is_named_with_advice(tmp_path, content, reason):
    path = tmp_path / "home.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_json(Home, path, "Delete it.")
    (line,) = refusal.value.lines
    assert line.startswith(f"{path} is not a Home: {reason}")
    assert line.endswith(" Delete it.")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere is not a Home: No such file or directory\. Delete it\.$"):
        read_json(Home, tmp_path / "nowhere", "Delete it.")
    with pytest.raises(InputError, match=r"is not a Home: Is a directory\. Delete it\.$"):
        read_json(Home, tmp_path, "Delete it.")


def test_a_model_is_read_back_from_its_json(tmp_path):
    home = Home(name="ä", pets=[Dog(weight=0.1)])
    (tmp_path / "home.json").write_text(home.model_dump_json(), encoding="utf-8")
    assert read_json(Home, tmp_path / "home.json", "Delete it.") == home
