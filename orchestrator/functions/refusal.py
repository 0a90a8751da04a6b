"""What pydantic says of a value that it refuses, as the rest of a sentence that begins with where the value stands."""

from pydantic_core import ErrorDetails

from orchestrator.system.figures import numbered

LENGTHS = ("too_short", "too_long", "string_too_short", "string_too_long")
IN_YAML = {"mapping": ("dict_type", "model_type", "dataclass_type"), "list": ("list_type", "tuple_type", "set_type")}


def in_words(problem: ErrorDetails) -> str:
    """What is wrong with a value, in the words of YAML: "is empty", "input should be a list"."""
    kind = problem["type"]
    if kind == "missing":
        return "is missing"
    if kind in LENGTHS:
        return _length(problem)
    for name, types in IN_YAML.items():
        if kind in types:
            return f"input should be a {name}"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[:1].lower() + message[1:]


def is_empty(problem: ErrorDetails) -> bool:
    """Whether the value is too short because it holds nothing."""
    return problem["type"] in LENGTHS and not problem["input"]


def _length(problem: ErrorDetails) -> str:
    """What is wrong with how long a list, a mapping or a text is."""
    if is_empty(problem):
        return "is empty"
    limits, unit = problem["ctx"], "character" if problem["type"].startswith("string") else "item"
    if "min_length" in limits:
        least, length = limits["min_length"], len(problem["input"])
        return f"has {numbered(length, unit)}, and needs at least {least}"
    most = limits["max_length"]
    return f"has more than {numbered(most, unit)}"
