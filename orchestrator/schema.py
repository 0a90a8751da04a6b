"""The JSON Schema of a sweep file, for editors."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator import functions
from orchestrator.functions import DEFAULT_TRIAL, Parameter
from orchestrator.spec.form import SweepFile
from orchestrator.spec.parameter_forms import BetaForm, NormalForm, RangeForm, ValueForm, ValuesForm


def text() -> str:
    """The schema as it stands in a file."""
    return json.dumps(schema(), indent=2) + "\n"


def schema() -> dict[str, Any]:
    """Sweep files in general; where `trial` is the VAE, the parameters by name, type and range."""
    document = SweepFile.model_json_schema()
    parameters = _spelled(functions.default_trial().parameters)
    is_default = {"properties": {"trial": {"const": DEFAULT_TRIAL}}}
    swept = {name: _swept(parameter) for name, parameter in parameters.items()}
    plain = {name: parameter.schema for name, parameter in parameters.items()}
    known = {
        "parameters": {"properties": swept, "additionalProperties": False},
        "zip": {"properties": {n: _list(s) for n, s in plain.items()}, "additionalProperties": False},
        "configs": {"items": {"properties": plain, "additionalProperties": False}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document,
        "allOf": [{"if": is_default, "then": {"properties": known}}],
    }


def _spelled(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters by the names that a file may give them: with dashes for underscores, too."""
    return {name: parameters[own] for own in parameters for name in (own, own.replace("_", "-"))}


def _list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": schema.get("description", ""), "type": "array", "items": schema, "minItems": 1}


def _swept(parameter: Parameter) -> dict[str, Any]:
    """A parameter as a constant, {value}, {values}, or a distribution of numbers."""
    forms = [parameter.schema, _with(ValueForm.model_json_schema(), "value", parameter.schema)]
    forms.append(_with(ValuesForm.model_json_schema(), "values", _list(parameter.schema)))
    if parameter.is_number:
        forms += [form.model_json_schema() for form in (RangeForm, NormalForm, BetaForm)]
    return {"description": parameter.schema.get("description", ""), "anyOf": forms}


def _with(form: dict[str, Any], name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return form | {"properties": form["properties"] | {name: schema}}
