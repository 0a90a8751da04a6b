"""The parameters of a trial in its run.

All of them are JSON in the tag `params`, and in `params.1`, `params.2`, .. as far as one tag cannot hold it: tags are
written with the run itself, and read with it. MLflow's params are for its tables. Long values are cut in them; then
`params.json` among the artifacts has them whole, for people.
"""

import itertools
import json
from collections.abc import Mapping
from functools import lru_cache, partial

from mlflow import MlflowClient
from mlflow.entities import Param

from orchestrator.system.printable import storable
from orchestrator.trackers import writing
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun
from orchestrator.trial import Params
from orchestrator.trials.metric_names import MetricNames

TAG = "params"
PARAM = "param."  # prefix of tags: the name of a parameter whose own MLflow does not take
FILE = "params.json"
LONGEST = 6000  # characters of a param that MLflow takes
CUT = "..."

_decode = json.JSONDecoder(parse_float=lru_cache(1000)(float)).decode  # most are those of a trial before


def tags(params: Params) -> dict[str, str]:
    """The tags that have all of them."""
    text = json.dumps(dict(params))
    parts = [text[start : start + LONGEST_TAG] for start in range(0, len(text), LONGEST_TAG)]
    return {_tag(number): part for number, part in enumerate(parts)}


def read(tags: Mapping[str, str]) -> Params:
    """The parameters that a run's tags have."""
    text = tags.get(TAG, "{}")
    if len(text) >= LONGEST_TAG:
        further = itertools.takewhile(lambda name: name in tags, map(_tag, itertools.count(1)))
        text += "".join(tags[name] for name in further)
    params: Params = _decode(text)
    return params


def entities(params: Params) -> list[Param]:
    """As MLflow's params, with the nearest names that it takes, and long values cut."""
    names = MetricNames()
    return [Param(names.stored(name), _cut(storable(str(value)))) for name, value in params.items()]


def renamed(params: Params) -> dict[str, str]:
    """A tag for each parameter that MLflow has under another name."""
    return {PARAM + stored: name for stored, name in MetricNames().renamed(params).items()}


def log_whole(client: MlflowClient, run: OpenRun, params: Params) -> None:
    """Log all of them as a text for people, where one is cut."""
    if any(len(str(value)) > LONGEST for value in params.values()):
        text = json.dumps(dict(params), indent=2, ensure_ascii=False) + "\n"
        writing.attempt(client, run, FILE, partial(client.log_text, run.run_id, text, FILE))


def _tag(number: int) -> str:
    return f"{TAG}.{number}" if number else TAG


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - len(CUT)] + CUT
