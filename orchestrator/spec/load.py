"""Check a sweep file against the trial function's parameters, and say every mistake with its line."""

import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator import trial_function
from orchestrator.errors import InputError
from orchestrator.spec.form import IGNORED, BoundaryForm, SweepFile, is_name
from orchestrator.spec.metrics import metrics_of
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.objective import objectives
from orchestrator.spec.on_finish import on_finish_of
from orchestrator.spec.parameters import space_of
from orchestrator.spec.pruning import pruner_of
from orchestrator.spec.reference import reference_of
from orchestrator.spec.requirements import check_method, method_of, replicates_of, stacking_of
from orchestrator.spec.source import Source, read
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.trial_function import FunctionError, TrialFunction


def load(path: Path, overrides: Sequence[str] = (), text: str | None = None) -> SweepSpec:
    """Read and check a sweep file.

    Args:
        path: of the YAML file.
        overrides: `NAME=VALUE`, each setting a parameter to a constant.
        text: what stood in the file, where that is not what stands in it now.

    Raises:
        InputError: with a line for each mistake.
    """
    source = read(path, text)
    mistakes = Mistakes(source)
    form = _form(mistakes)
    function = _function(form.trial, source)
    return _spec(form, function, overrides, mistakes)


def _form(mistakes: Mistakes) -> SweepFile:
    """The file's shape; its parameters are not looked at yet."""
    source = mistakes.source
    if not isinstance(source.content, dict):
        raise InputError(source.mistake((), "a sweep file is a mapping with `parameters:`"))
    form = mistakes.validated(SweepFile, source.content, ())
    if form is None:
        raise InputError.of(mistakes.lines)
    return form


def _function(name: str, source: Source) -> TrialFunction:
    """The trial function, from here or from beside the file."""
    for folder in (str(Path.cwd()), str(source.path.parent.absolute())):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        return trial_function.find(name)
    except FunctionError as error:
        raise InputError(source.mistake(("trial",), str(error))) from error


def _spec(form: SweepFile, function: TrialFunction, overrides: Sequence[str], mistakes: Mistakes) -> SweepSpec:
    """The file's meaning, or every mistake in it, in this order."""
    space = space_of(form, function, overrides, mistakes)
    metrics = metrics_of(form, space.varying, mistakes)
    replicates = replicates_of(form, space, function, mistakes)
    method = method_of(form, space, overrides)
    check_method(method, form, space, mistakes)
    pruner = pruner_of(form, space.varying, mistakes)
    stacking = stacking_of(method, form, function, mistakes)
    reference = reference_of(form, function, mistakes)
    on_finish = on_finish_of(form, mistakes)
    name = _name(form, mistakes)
    mistakes.raise_any()
    _warn_of_ignored(mistakes)
    return SweepSpec(
        name=name,
        source=mistakes.source,
        function=function,
        method=method,
        objectives=objectives(metrics),
        domains=space.domains,
        conditions=space.conditions,
        zipped=space.zipped,
        configs=space.configs,
        varying=space.varying,
        replicates=replicates,
        seeds=space.seeds,
        run_cap=form.run_cap,
        time_cap=form.time_cap,
        seed=form.seed,
        reference=reference,
        boundary=form.boundary or BoundaryForm(),
        early_terminate=pruner,
        divergence=form.divergence,
        retries=form.retries,
        stall_seconds=form.stall_seconds,
        stacking=stacking,
        reuse=form.reuse,
        on_finish=on_finish,
        warnings=tuple(mistakes.warnings),
    )


def _name(form: SweepFile, mistakes: Mistakes) -> str:
    name = mistakes.source.path.stem if form.name is None else form.name
    if not is_name(name):
        mistakes.note(
            ("name",),
            f"{name!r} cannot be a name: up to 200 letters, digits, spaces, . _ - after a letter or digit",
        )
    return name


def _warn_of_ignored(mistakes: Mistakes) -> None:
    source = mistakes.source
    ignored = [key for key in IGNORED if key in source.content]
    if ignored:
        mistakes.warnings.append(f"{source.path}: {', '.join(ignored)}: for W&B's agents; ignored")
