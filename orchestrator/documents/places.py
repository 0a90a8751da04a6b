"""Where something is to be seen: the files of a report, the links of MLflow's UI."""

from typing import Literal

from orchestrator.documents.base import Document, DocumentPart


class ReportDocument(Document):
    """The files of a report."""

    kind: Literal["report"] = "report"
    page: str
    markdown: str
    table: str


class LinkPart(DocumentPart):
    """Where MLflow's UI shows a sweep."""

    sweep: str
    table: str
    charts: str


class UiDocument(Document):
    """MLflow's UI takes connections; it does so until the command is ended."""

    kind: Literal["ui"] = "ui"
    address: str
    sweeps: list[LinkPart]
