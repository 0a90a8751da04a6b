"""What a search learns from beside its own trials: a sweep file's `prior`."""

from collections.abc import Iterator
from pathlib import Path

from orchestrator.spec.form import SweepFile, as_name
from orchestrator.spec.methods import METHODS, Method, named
from orchestrator.spec.metrics import listed
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.sweep_spec import PriorSource
from orchestrator.spec.values import refuse_repeats

CSV = ".csv"


def sources_of(method: Method, form: SweepFile, name: str, mistakes: Mistakes) -> tuple[PriorSource, ...]:
    """The sweeps and files that the sweep of this name learns from; a name that ends in .csv is a file's.

    Whether they are there is seen when they are read.
    """
    if not form.prior:
        return ()
    if not named(form.method).takes_prior:
        suitable = listed([known.name for known in METHODS.values() if known.takes_prior], "or")
        mistakes.note(("prior",), f"does not work with method {form.method}; use {suitable}")
    refuse_repeats(("prior",), form.prior, mistakes)
    sources = tuple(_sources(form, mistakes.source.path.parent))
    for source in sources:
        if source.sweep == name:
            mistakes.note(("prior", source.number), "is this sweep itself, which learns from its own trials anyway")
    return sources if method.takes_prior else ()


def _sources(form: SweepFile, folder: Path) -> Iterator[PriorSource]:
    for number, text in enumerate(form.prior):
        if text.lower().endswith(CSV):
            yield PriorSource(text, number, file=folder / text)
        else:
            yield PriorSource(text, number, sweep=as_name(text))
