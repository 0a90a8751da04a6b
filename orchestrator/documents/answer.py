"""What came of a request."""

from typing import Literal

from orchestrator.documents.base import Document


class AnswerDocument(Document):
    """What was done, as `stop`, `workers`, `rerun`, `more` and `delete` say it."""

    kind: Literal["answer"] = "answer"
    lines: list[str]
