"""Check a sweep file against the trial function's parameters, and report every mistake with its line."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from orchestrator import functions
from orchestrator.errors import InputError
from orchestrator.functions import FunctionError, TrialFunction
from orchestrator.spec.block_forms import BoundaryForm
from orchestrator.spec.constraint import constraints_of
from orchestrator.spec.event import event_of, metrics_for
from orchestrator.spec.executor_forms import ExecutorForm
from orchestrator.spec.form import LONGEST_NAME, SweepFile, as_name, is_name
from orchestrator.spec.keep import checkpoints_of, patterns_of
from orchestrator.spec.metrics import Reported, check_needed, listed, nothing_reported
from orchestrator.spec.mistakes import Mistakes, closest, keys_of
from orchestrator.spec.objective import objectives
from orchestrator.spec.on_finish import on_finish_of
from orchestrator.spec.parameters import space_of
from orchestrator.spec.prior import sources_of
from orchestrator.spec.pruning import pruner_of
from orchestrator.spec.reference import reference_of
from orchestrator.spec.requirements import check_method, method_of, replicates_of, stacking_of
from orchestrator.spec.source import Source, read
from orchestrator.spec.starts import starts_of, with_setting
from orchestrator.spec.strict import SweepMetricForm, ignored
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.spec.values import flattened, names_in

SURELY_MEANT = 0.6  # how similar a key is to the one that it is taken for


def load(
    path: Path,
    overrides: Sequence[str] = (),
    text: str | None = None,
    reported: Reported = nothing_reported,
    *,
    name: str | None = None,
    is_to_run: bool = True,
) -> SweepSpec:
    """Read and check a sweep file.

    Args:
        path: of the YAML file.
        overrides: `NAME=VALUE`, each setting a parameter to a constant.
        text: of the file, where that is not its text of now.
        reported: given the name of a trial function, the metrics that finished trials of it have reported; asked where
            a metric is missing.
        name: makes it a sweep of its own, of this name, that takes nothing over from others.
        is_to_run: whether a program has to be there: not where only its results are looked at, nor where `text` is
            given.

    Raises:
        InputError: with a line for each mistake.
    """
    mistakes = Mistakes(read(path, text))
    form, mistakes, is_whole = _form(mistakes)
    if name is not None:
        form = form.model_copy(update={"name": name, "reuse": False})
    form, overrides, of_starts = with_setting(form, overrides, mistakes)
    source = mistakes.source
    if form.runs_program:
        from orchestrator.spec.program import program_of  # a sweep of a function needs nothing of it

        function: TrialFunction = program_of(form, overrides, mistakes, is_to_run=is_to_run and text is None)
    else:
        function = _function(form.trial if "trial" in source.content else None, mistakes)
        function = function.with_names(names_in(form, flattened(form.parameters, Mistakes(source)), overrides))
        if "trial" not in source.content:
            _check_default(form, function, mistakes)
        for key in {"program", "command"} & source.content.keys():
            mistakes.warn((key,), "not run, because the file names a `trial`")
        if form.infeasible_exit is not None:
            mistakes.note(("infeasible_exit",), "is for programs; a trial function raises `orchestrator.Infeasible`")
    return _spec(form, function, overrides, of_starts, mistakes, reported, is_whole=is_whole)


def _form(mistakes: Mistakes) -> tuple[SweepFile, Mistakes, bool]:
    """The file's shape; its parameters are not checked yet.

    What is wrong in it hides nothing else: a misspelled key is taken for the one that is meant, and a value that
    cannot be is left out.

    Returns:
        The shape, the mistakes in the file as it was meant, and whether nothing of that was left out.

    Raises:
        InputError: no trial function follows from it.
    """
    source = mistakes.source
    if not isinstance(source.content, dict):
        raise InputError(source.mistake((), "a sweep file is a mapping with `parameters:`"))
    form = mistakes.validated(SweepFile, source.content, ())
    if form is not None:
        return form, mistakes, True
    meant = _meant(source)
    for key in meant.content.keys() - source.content.keys():  # under the names that were given, nothing was checked
        Mistakes(meant, mistakes.lines).validated(SweepFile, {key: meant.content[key]}, ())
    sound = {name: part for key, value in meant.content.items() for name, part in _sound(meant, key, value).items()}
    if any(sound.get(key) != value for key, value in meant.content.items() if key in ("trial", "program", "command")):
        raise InputError.of(mistakes.lines)
    cut = [key for key, value in sound.items() if isinstance(value, list) and value != meant.content[key]]
    numbers = {key: _sound_items(meant, key, meant.content[key]) for key in cut}
    mistakes = Mistakes(replace(meant, content=sound, numbers=numbers), mistakes.lines)
    form = mistakes.validated(SweepFile, sound, ())
    if form is None:
        raise InputError.of(mistakes.lines)
    return form, mistakes, sound == meant.content


def _sound(source: Source, key: str, value: Any) -> dict[str, Any]:
    """A key with its value as far as that can be: of a mapping or a list, what can; empty where nothing is left."""
    if _is_sound(source, key, value):
        return {key: value}
    part: Any = {}
    if isinstance(value, dict):
        part = {name: entry for name, entry in value.items() if _is_sound(source, key, {name: entry})}
    elif isinstance(value, list):
        part = [value[number] for number in _sound_items(source, key, value)]
    return {key: part} if part and _is_sound(source, key, part) else {}


def _sound_items(source: Source, key: str, items: Sequence[Any]) -> list[int]:
    """The numbers of the items of a list that can be there."""
    return [number for number, item in enumerate(items) if _is_sound(source, key, [item])]


def _is_sound(source: Source, key: str, value: Any) -> bool:
    return Mistakes(source).validated(SweepFile, {key: value}, ()) is not None  # what is wrong was noted before


def _meant(source: Source) -> Source:
    """The file with its unknown keys under the names that were surely meant, or without them."""
    known = keys_of(SweepFile)
    unknown = source.content.keys() - SweepFile.model_fields.keys()
    names = {key: closest(key, known, SURELY_MEANT) for key in unknown}
    return source.renamed({key: name if name not in source.content else None for key, name in names.items()})


def _function(name: str | None, mistakes: Mistakes) -> TrialFunction:
    """The trial function, from beside the file or from here; the default one where the file names none."""
    source = mistakes.source
    modules = functions.modules_of(name, [source.path.parent.absolute(), Path.cwd()])
    try:
        return functions.find(functions.DEFAULT_TRIAL if name is None else name, modules)
    except FunctionError as error:
        mistakes.note(("trial",), str(error))
        raise InputError.of(mistakes.lines) from error


def _check_default(form: SweepFile, function: TrialFunction, mistakes: Mistakes) -> None:
    """Refuse a file that was not written for the default trial, which it runs since it names nothing else.

    Raises:
        InputError: a parameter is none of that trial's, and not misspelled either.
    """
    entries = flattened(form.parameters, Mistakes(mistakes.source))
    foreign = [name for _, name, _ in entries if not (function.named(name) or closest(name, function.parameters))]
    if foreign:
        mistakes.note(
            ("parameters",),
            f"{function.title}, which runs where a file names neither `program` nor `trial`, has no parameter "
            f"{listed(foreign, 'or')}; add `program: SCRIPT`, or `trial: module:function`",
        )
        mistakes.raise_any()


def _spec(
    form: SweepFile,
    function: TrialFunction,
    overrides: Sequence[str],
    of_starts: Mistakes,
    mistakes: Mistakes,
    reported: Reported,
    *,
    is_whole: bool,
) -> SweepSpec:
    """The file's meaning, or every mistake in it, in this order."""
    between = mistakes if is_whole else Mistakes(mistakes.source)  # what one key asks of others, of which some are out
    space = space_of(form, function, overrides, mistakes)
    event = event_of(form, function, mistakes)
    metrics = metrics_for(event, form, function, space.varying, mistakes)
    replicates = replicates_of(form, space, function, between)
    method = method_of(form, space, overrides)
    check_method(method, form, space, between)
    constraints = constraints_of(form, method, objectives(metrics), between)
    start_with = starts_of(method, form, space, function, of_starts)
    pruner = pruner_of(form, function, space.varying, mistakes)
    check_needed(form, method, metrics, lambda: reported(function.name), between)
    stacking = stacking_of(method, form, function, between)
    reference = reference_of(form, function, mistakes)
    on_finish = on_finish_of(form, mistakes)
    keep = patterns_of(form, mistakes)
    keep_checkpoints = checkpoints_of(form, function, objectives(metrics), between)
    name = _name(form, mistakes)
    prior = sources_of(method, form, name, mistakes)
    executor = _executor(form, mistakes)
    mistakes.raise_any()
    _warn_of_ignored(mistakes)
    return SweepSpec(
        name=name,
        is_named=form.name is not None,
        description=(form.description or "").strip(),
        source=mistakes.source,
        function=function,
        given=space.given,
        method=method,
        objectives=objectives(metrics),
        constraints=constraints,
        domains=space.domains,
        conditions=space.conditions,
        zipped=space.zipped,
        configs=space.configs,
        varying=space.varying,
        replicates=replicates,
        survivors=form.survivors,
        start_with=start_with,
        prior=prior,
        seeds=space.seeds,
        run_cap=form.run_cap,
        time_cap=form.time_cap,
        seed=form.seed,
        reference=reference,
        boundary=form.boundary or BoundaryForm(),
        event=event,
        early_terminate=pruner,
        divergence=form.divergence,
        retries=form.retries,
        stall_seconds=_stall_seconds(form),
        stacking=stacking,
        resources=form.resources,
        executor=executor,
        warm=form.warm,
        reuse=form.reuse,
        report=form.report,
        record_code=form.record_code,
        overrides=tuple(overrides),
        on_finish=on_finish,
        keep=keep,
        keep_checkpoints=keep_checkpoints,
        warnings=tuple(mistakes.warnings),
    )


def _executor(form: SweepFile, mistakes: Mistakes) -> ExecutorForm | None:
    if form.executor is not None and len(form.executor.model_fields_set) != 1:
        mistakes.note(
            ("executor",), f"names {'several' if form.executor.model_fields_set else 'no'} executors; name one"
        )
    return form.executor


def _stall_seconds(form: SweepFile) -> float:
    """How long a trial may be silent. A program may be for as long as it likes, unless the file says otherwise."""
    return inf if form.runs_program and "stall_seconds" not in form.model_fields_set else form.stall_seconds


def _name(form: SweepFile, mistakes: Mistakes) -> str:
    given = mistakes.source.path.stem if form.name is None else form.name
    name = as_name(given)
    if mistakes.source.is_piped and form.name is None:
        mistakes.note(("name",), "is missing; what comes through a pipe has no file whose name the sweep could have")
    if not is_name(name):
        mistakes.note(
            ("name",), f"{name!r} is not a valid name: use up to {LONGEST_NAME} characters that can be printed"
        )
    return name


def _warn_of_ignored(mistakes: Mistakes) -> None:
    source = mistakes.source
    keys = [key for key in ignored(SweepFile) if key in source.content]
    keys += [f"metric.{key}" for key in ignored(SweepMetricForm) if key in (source.content.get("metric") or ())]
    if keys:
        mistakes.warnings.append(f"{source.path}: {', '.join(keys)}: for W&B; ignored")
