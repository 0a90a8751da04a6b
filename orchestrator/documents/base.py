"""What all documents share: their version, and how their numbers are written."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, WithJsonSchema

NOT_FINITE = ("NaN", "Infinity", "-Infinity")  # as pydantic writes them, and float() reads them

Number = Annotated[float, WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": [*NOT_FINITE]}]})]
Params = dict[str, Any]
Metrics = dict[str, Number]


class DocumentPart(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="strings",
        json_schema_serialization_defaults_required=True,
    )


class Document(DocumentPart):
    """What a program reads: a line of JSON."""

    version: Literal[1] = 1
    """Of the documents. Within a version fields are added; none is taken away, or means something else."""
    kind: str
    """Which document it is."""

    def line(self) -> str:
        """The document as JSON, without a line's end."""
        return self.model_dump_json()
