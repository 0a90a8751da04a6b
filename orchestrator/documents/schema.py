"""The JSON Schema of all documents."""

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from orchestrator.documents import events
from orchestrator.documents.answer import AnswerDocument
from orchestrator.documents.best import BestDocument
from orchestrator.documents.compare import CompareDocument
from orchestrator.documents.error import ErrorDocument
from orchestrator.documents.export import ExportDocument
from orchestrator.documents.judgement import JudgementDocument
from orchestrator.documents.launch import LaunchDocument
from orchestrator.documents.places import ReportDocument, UiDocument
from orchestrator.documents.plan import PlanDocument
from orchestrator.documents.replay import ReplayDocument
from orchestrator.documents.status import StatusDocument

Event = (
    events.BegunEvent
    | events.MessageEvent
    | events.WarningEvent
    | events.PlacesEvent
    | events.WorkersEvent
    | events.TrialStartedEvent
    | events.TrialEpochEvent
    | events.TrialEndedEvent
    | events.TrialRenewedEvent
)
Result = (
    PlanDocument
    | LaunchDocument
    | StatusDocument
    | BestDocument
    | CompareDocument
    | JudgementDocument
    | ReportDocument
    | ExportDocument
    | UiDocument
    | ReplayDocument
    | AnswerDocument
    | ErrorDocument
)


def text() -> str:
    """The schema as it stands in a file."""
    return json.dumps(schema(), indent=2) + "\n"


def schema() -> dict[str, Any]:
    """Any line that a command prints with --json."""
    line: TypeAdapter[Any] = TypeAdapter(Annotated[Event | Result, Field(discriminator="kind")])
    made: dict[str, Any] = _without_titles(line.json_schema(mode="serialization"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _without_titles(schema: Any) -> Any:
    """A schema without the titles that are the names of its keys again."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if key != "title" or not isinstance(value, str)}
        return {key: _without_titles(value) for key, value in kept.items()}
    return [_without_titles(value) for value in schema] if isinstance(schema, list) else schema
