"""Models that refuse unknown keys and wrong types, with one line that names the key."""

from pathlib import Path
from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from compactnet.checks import suggest
from compactnet.errors import InputError

TAG_FIELDS = ("source", "kind")
"""Fields that tell the members of a union apart; their values are no keys of a file."""

LONGEST = 200
"""Characters of a value that a message shows."""


class StrictModel(BaseModel):
    """A frozen pydantic model that refuses unknown keys.

    Raises:
        InputError: an argument has a wrong type or value, or an unknown name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **fields):
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InputError(_first_problem(error, type(self))) from None

    # Without this, pydantic would call __init__ for nested models too, and lose the path of their problems.
    __init__.__pydantic_base_init__ = True

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, content):
        if isinstance(content, dict):
            for key in content:
                if key not in cls.model_fields:
                    hint = suggest(key, cls.model_fields)
                    raise PydanticCustomError("unknown_key", "{hint}", {"key": str(key), "hint": hint})
        return content


def _number_from_text(value):
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_number", "Input should be a valid number")
    # YAML 1.1 reads 1e-3 as text; people mean the number.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]


def described(kind, allowed):
    """Return a type that is refused in the words `allowed`, "Input should be ...": for unions of plain types.

    Pydantic would speak of one of the members, as if it were a key.
    """

    def check(value, handler):
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("not_described", "{allowed}", {"allowed": allowed}) from None

    return Annotated[kind, WrapValidator(check)]


def listed(kind, example):
    """Return the type of a list that refuses a single value with an example, such as "[0, 1, 2]"."""

    def check(value):
        if isinstance(value, list | tuple):
            return value
        message = "Input should be a list, such as {example}"
        raise PydanticCustomError("not_a_list", message, {"example": example})

    return Annotated[kind, BeforeValidator(check)]


def shown(value):
    """Return a value as messages show it: at most some 200 characters."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"


def added(kind, default):
    """Return the type of a field that models got after records of them were written.

    At its default it is left out of the JSON, so that the hashes in older records stay true.
    """
    return Annotated[kind, Field(exclude_if=lambda value: value == default)]


def validate(model_class, content, source):
    """Return `content`, plain data, as an instance of a model.

    Args:
        model_class: A `StrictModel`.
        content: A dict.
        source: Where it comes from, such as the path of a file; the message begins with it.

    Raises:
        InputError: a key is missing or unknown, or a value is wrong.
    """
    try:
        return model_class.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{source}: {_first_problem(error, model_class)}") from None


def read_json(model_class, path, advice):
    """Read a JSON file as an instance of a model.

    Args:
        model_class: A `StrictModel`.
        path: The file.
        advice: What to do where it is something else; the message ends with it.

    Raises:
        InputError: it cannot be read, is not JSON, or does not fit the model.
    """
    try:
        return model_class.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        reason = error.strerror
    except ValidationError as error:
        reason = _first_problem(error, model_class)
    end = "" if reason.endswith((".", "?")) else "."
    raise InputError(f"{path} is not a {model_class.__name__}: {reason}{end} {advice}")


def _first_problem(error, model_class):
    """Return the first problem of a pydantic error as one line."""
    problem = error.errors(include_url=False)[0]
    tags = _tags(model_class)
    key = ".".join(str(part) for part in problem["loc"] if part not in tags)
    match problem["type"]:
        case "unknown_key":
            key = ".".join(filter(None, [key, problem["ctx"]["key"]]))
            return f"unknown key {shown(key)}. {problem['msg']}"
        case "missing":
            return f"the key {key!r} is missing."
        case "union_tag_not_found":
            return f"the key '{key}.{problem['ctx']['discriminator'].strip(chr(39))}' is missing."
        case "union_tag_invalid":
            field, context = problem["ctx"]["discriminator"].strip("'"), problem["ctx"]
            return f"{key}.{field} must be one of {context['expected_tags']}. Received: {shown(context['tag'])}"
    message = problem["msg"].removeprefix("Value error, ").removesuffix(".")
    if problem["type"] not in ("value_error", "json_invalid"):
        message += f". Received: {shown(problem['input'])}"
    end = "" if "Received: " in message or message.endswith("?") else "."
    return f"{key + ': ' if key else ''}{message}{end}"


def _tags(model_class, seen=None):
    """Return the values by which unions below a model tell their members apart."""
    seen = set() if seen is None else seen
    tags = set()
    for name, field in model_class.model_fields.items():
        if name in TAG_FIELDS:
            tags.update(get_args(field.annotation))
        for member in _models(field.annotation):
            if member not in seen:
                seen.add(member)
                tags |= _tags(member, seen)
    return tags


def _models(annotation):
    """Yield the models that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
