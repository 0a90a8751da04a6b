"""Check a sweep file against the trial function's parameters, and say every mistake with its line."""

import difflib
import json
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from orchestrator import trial_function
from orchestrator.errors import InputError
from orchestrator.events import METRIC_NAME
from orchestrator.spec.conditions import Conditions, Wanted, in_order
from orchestrator.spec.domains import Choice, Domain, Range, domain_of
from orchestrator.spec.form import (
    BOUNDARY,
    DEFAULT_TRIAL,
    IGNORED,
    LISTED,
    PRUNERS,
    Boundary,
    Form,
    Hyperband,
    Metric,
    Patient,
    Pruner,
    RangeForm,
    Replicates,
    Scalar,
    SweepFile,
    ValueForm,
    ValuesForm,
    Wilcoxon,
    is_name,
)
from orchestrator.spec.objective import objectives
from orchestrator.spec.source import Location, Source, note, read, scalar
from orchestrator.spec.sweep_spec import OnFinish, Reference, ReferenceRow, SweepSpec
from orchestrator.stacking import UNSTACKED, Stacking
from orchestrator.trial import Outcome, Params
from orchestrator.trial_function import FunctionError, Parameter, TrialFunction

DEFAULT_METRIC = Metric(name="val_ssim", goal="maximize")
ALIASES = {"bayes": "tpe"}
OF_THE_LOSS = ("_loss", "_recon")
KINDS = ("int", "float", "str", "list[str]")  # as pydantic names those of a union, among the keys
OF_ONE_METRIC = ("cmaes",)  # methods that cannot search a front
PARAMETER_FORMS: tuple[type[Form], ...] = (ValueForm, ValuesForm, RangeForm)
F = TypeVar("F", bound=Form)


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
    check = _Checker(source)
    form = check.form()
    for folder in (str(Path.cwd()), str(path.parent.absolute())):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        function = trial_function.find(form.trial)
    except FunctionError as error:
        raise InputError(source.mistake(("trial",), str(error))) from error
    return check.spec(form, function, overrides)


def nearest(name: str, valid: Collection[str]) -> str:
    """A sentence that helps someone who misspelled a name."""
    close = difflib.get_close_matches(name.lower(), valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(valid)}"


@dataclass
class _Checker:
    source: Source
    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def form(self) -> SweepFile:
        """The file's shape; its parameters are not looked at yet."""
        content = self.source.content
        if not isinstance(content, dict):
            raise InputError(self.source.mistake((), "a sweep file is a mapping with `parameters:`"))
        form = self._validated(SweepFile, content, ())
        if form is None:
            raise InputError.of(self.mistakes)
        return form

    def spec(self, form: SweepFile, function: TrialFunction, overrides: Sequence[str]) -> SweepSpec:
        """The file's meaning, or every mistake in it."""
        constants = self._constants(overrides, function)
        domains: dict[str, Domain] = {
            name: domain
            for name, raw in form.parameters.items()
            if (domain := self._domain(("parameters", name), raw, function)) and name not in constants
        }
        domains |= {name: Choice((value,)) for name, value in constants.items()}
        zipped = self._zipped(form.zip, function, constants)
        configs = tuple(
            self._values(("configs", i), {k: v for k, v in config.items() if k not in constants}, function)
            for i, config in enumerate(form.configs)
        )
        seeds = self._seeds(form.seeds, function) if "seed" not in constants else ()
        self._refuse_overlaps(domains.keys() - constants.keys(), form.zip, form.configs, bool(form.seeds))
        varying = {name for name, domain in domains.items() if not domain.is_constant}
        varying |= {name for rows in (zipped, configs) if len(rows) > 1 for row in rows for name in row}
        # a search of which all was set to constants is a single configuration: it is run again
        method = "grid" if overrides and not varying else ALIASES.get(form.method, form.method)
        conditions = self._conditions(form, function, constants)
        from_rows = {name for row in (*zipped, *configs) for name in row}
        self._check_conditions(conditions, domains, from_rows | constants.keys())
        metrics = self._metrics(form, varying | conditions.wanted.keys())
        replicates = form.replicates if "seed" not in constants else None
        if replicates is not None:
            self._check_replicates(form, replicates, function)
        self._check_method(method, form, domains, varying)
        pruner = self._early_terminate(form, varying)
        stacking = self._stacking(method, form, function)
        reference = self._reference(form, function)
        on_finish = self._on_finish(form)
        name = self.source.path.stem if form.name is None else form.name
        if not is_name(name):
            self._mistake(
                ("name",),
                f"{name!r} cannot be a name: up to 200 letters, digits, spaces, . _ - after a letter or digit",
            )
        if self.mistakes:
            raise InputError.of(self.mistakes)
        ignored = [key for key in IGNORED if key in self.source.content]
        if ignored:
            self.warnings.append(f"{self.source.path}: {', '.join(ignored)}: for W&B's agents; ignored")
        return SweepSpec(
            name=name,
            source=self.source,
            function=function,
            method=method,
            objectives=objectives(metrics),
            domains=domains,
            conditions=conditions,
            zipped=zipped,
            configs=configs,
            varying=frozenset(varying | conditions.wanted.keys()),
            replicates=replicates,
            seeds=seeds,
            run_cap=form.run_cap,
            time_cap=form.time_cap,
            seed=form.seed,
            reference=reference,
            boundary=form.boundary or Boundary(),
            early_terminate=pruner,
            divergence=form.divergence,
            retries=form.retries,
            stall_seconds=form.stall_seconds,
            stacking=stacking,
            reuse=form.reuse,
            on_finish=on_finish,
            warnings=tuple(self.warnings),
        )

    def _mistake(self, location: Location, message: str) -> None:
        note(self.mistakes, self.source.mistake(location, message))

    def _validated(self, kind: type[F], content: Any, location: Location) -> F | None:
        try:
            return kind.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            for problem in error.errors():
                where = tuple(part for part in problem["loc"] if part not in KINDS)
                message = problem["msg"].removeprefix("Value error, ")
                message = message[0].lower() + message[1:]
                if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
                    message = f"unknown key; {nearest(str(where[-1]), _keys(kind, where))}"
                elif problem["type"] == "literal_error":
                    message += f"; {nearest(str(problem['input']), _quoted(problem['msg']))}"
                self._mistake((*location, *where), message)
            return None

    def _constants(self, overrides: Sequence[str], function: TrialFunction) -> dict[str, Any]:
        constants: dict[str, Any] = {}
        for text in overrides:
            name, equals, value = text.partition("=")
            if not equals:
                self.mistakes.append(f"--set {text}: write NAME=VALUE")
            elif name in constants:
                self.mistakes.append(f"--set {text}: {name} is set twice")
            elif name not in function.parameters:
                self.mistakes.append(f"--set {text}: unknown parameter {name}; {nearest(name, function.parameters)}")
            else:
                try:
                    constants[name] = function.parameters[name].validate(scalar(value))
                except ValueError as error:
                    self.mistakes.append(f"--set {text}: {error}")
        return constants

    def _parameter(self, location: Location, name: str, function: TrialFunction) -> Parameter | None:
        if name in function.parameters:
            return function.parameters[name]
        self._mistake(location, f"unknown parameter of {function.name}; {nearest(name, function.parameters)}")
        return None

    def _value(self, location: Location, value: Any, parameter: Parameter) -> Any:
        try:
            return parameter.validate(value)
        except ValueError as error:
            names = parameter.schema.get("enum", [])
            hint = f"; {nearest(str(value), names)}" if names else ""
            self._mistake(location, f"{error}{hint}")
            return None

    def _domain(self, location: Location, raw: Any, function: TrialFunction) -> Domain | None:
        parameter = self._parameter(location, str(location[-1]), function)
        if parameter is None:
            return None
        if isinstance(raw, list) and parameter.schema.get("type") != "array":
            self._mistake(location, "a list of values to try is written {values: [...]}")
            return None
        if not isinstance(raw, dict):
            return Choice((self._value(location, raw, parameter),))
        if "value" in raw and "values" in raw:
            self._mistake(location, "give `value` or `values`, not both")
            return None
        if "value" in raw:
            constant = self._validated(ValueForm, raw, location)
            return Choice((self._value((*location, "value"), constant.value, parameter),)) if constant else None
        if "values" in raw:
            return self._choice(location, raw, parameter)
        form = self._validated(RangeForm, raw, location)
        if form is None:
            return None
        try:
            return domain_of(form, parameter)
        except ValueError as error:
            self._mistake(location, str(error))
            return None

    def _choice(self, location: Location, raw: Any, parameter: Parameter) -> Choice | None:
        form = self._validated(ValuesForm, raw, location)
        if form is None:
            return None
        values = [self._value((*location, "values", i), value, parameter) for i, value in enumerate(form.values)]
        self._refuse_repeats((*location, "values"), values)
        if form.probabilities is None:
            return Choice(tuple(values))
        if len(form.probabilities) != len(values) or abs(sum(form.probabilities) - 1) > 1e-6:
            self._mistake((*location, "probabilities"), "give one for each value, adding up to 1")
        return Choice(tuple(values), tuple(form.probabilities))

    def _conditions(self, form: SweepFile, function: TrialFunction, constants: Collection[str]) -> Conditions:
        """Where parameters are varied; what was set to a constant is one everywhere."""
        wanted: dict[str, Wanted] = {}
        for name, raw in form.parameters.items():
            when = raw.get("when") if isinstance(raw, dict) and name not in constants else None
            if isinstance(when, dict) and name in function.parameters:
                wanted[name] = self._wanted(name, when, function)
        if wanted and form.method == BOUNDARY:
            self._mistake(("parameters", next(iter(wanted)), "when"), "goes with any method but boundary")
        try:
            names = in_order(wanted)
        except ValueError as error:
            last = str(error).split(" when ")[0]
            self._mistake(("parameters", last, "when"), f"comes back to itself: {error}")
            names = []
        return Conditions({name: wanted[name] for name in names}, function.defaults)

    def _wanted(self, name: str, when: Mapping[str, Any], function: TrialFunction) -> Wanted:
        here: Location = ("parameters", name, "when")
        if name not in function.defaults:
            self._mistake(here, f"{name} has no default to have where this does not hold")
        if "seed" in (name, *when):
            self._mistake(here, "a seed has no conditions, and is none: it only replicates")
        found: dict[str, tuple[Any, ...]] = {}
        for other, among in when.items():
            parameter = self._parameter((*here, other), other, function)
            values = among if isinstance(among, list) else [among]
            if not values:
                self._mistake((*here, other), "give a value, or a list of them")
            if parameter is not None:
                places = [(*here, other, i) if isinstance(among, list) else (*here, other) for i in range(len(values))]
                found[other] = tuple(self._value(at, one, parameter) for at, one in zip(places, values, strict=True))
        return found

    def _check_conditions(
        self, conditions: Conditions, domains: Mapping[str, Domain], elsewhere: Collection[str]
    ) -> None:
        """Refuse what is no condition, and warn of what never holds; `elsewhere` are parameters that rows may give."""
        for name, wanted in conditions.wanted.items():
            for other, among in wanted.items():
                here = ("parameters", name, "when", other)
                domain = domains.get(other, Choice((conditions.defaults.get(other),)))
                if isinstance(domain, Range) and not domain.integer and domain.step is None:
                    self._mistake(here, f"{other} may be any number between min and max; a condition needs `values`")
                elif other not in {*elsewhere, *conditions.wanted} and not any(map(domain.has, among)):
                    never = f"never holds, so {name} has its default everywhere"
                    self.warnings.append(self.source.mistake(here, never))

    def _refuse_repeats(self, location: Location, values: Sequence[Any]) -> None:
        seen: set[str] = set()
        for i, value in enumerate(values):
            if value is not None and repr(value) in seen:
                self._mistake((*location, i), f"{value} stands here twice")
            seen.add(repr(value))

    def _values(self, location: Location, raw: Mapping[str, Any], function: TrialFunction) -> Params:
        return {
            name: self._value((*location, name), value, parameter)
            for name, value in raw.items()
            if (parameter := self._parameter((*location, name), name, function))
        }

    def _zipped(
        self, lists: Mapping[str, Sequence[Any]], function: TrialFunction, constants: Collection[str]
    ) -> tuple[Params, ...]:
        lists = {name: values for name, values in lists.items() if name not in constants}
        lengths = {name: len(values) for name, values in lists.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            self._mistake(("zip",), f"the lists must be of equal length: {counts}")
            return ()
        columns = {
            name: [self._value(("zip", name, i), value, parameter) for i, value in enumerate(values)]
            for name, values in lists.items()
            if (parameter := self._parameter(("zip", name), name, function))
        }
        return tuple(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def _seeds(self, seeds: Sequence[int], function: TrialFunction) -> tuple[int, ...]:
        if seeds and "seed" not in function.parameters:
            self._mistake(("seeds",), f"{function.name} has no parameter named seed")
            return ()
        self._refuse_repeats(("seeds",), seeds)
        return tuple(self._value(("seeds", i), seed, function.parameters["seed"]) for i, seed in enumerate(seeds))

    def _refuse_overlaps(
        self, parameters: Iterable[str], zipped: Iterable[str], configs: Iterable[Params], has_seeds: bool
    ) -> None:
        owners: dict[str, str] = {"seed": "seeds"} if has_seeds else {}
        places: list[tuple[Location, str]] = [(("parameters", name), name) for name in parameters]
        places += [(("zip", name), name) for name in zipped]
        for location, name in sorted(places, key=lambda place: self.source.lines.get(place[0], 0)):
            if owners.setdefault(name, str(location[0])) != location[0]:
                self._mistake(location, f"is also given under {owners[name]}; give it once")
        for i, config in enumerate(configs):
            for name in config.keys() & owners.keys():
                self._mistake(("configs", i, name), f"is also given under {owners[name]}; give it once")

    def _metrics(self, form: SweepFile, varying: Collection[str]) -> list[Metric]:
        """What trials are compared by."""
        if form.metric is not None and form.metrics is not None:
            self._mistake(("metrics",), "give `metric` or `metrics`, not both")
        metrics = form.metrics or [form.metric or DEFAULT_METRIC]
        compares_var = form.trial == DEFAULT_TRIAL and "var" in varying
        for i, metric in enumerate(metrics):
            place: Location = ("metrics", i, "name") if form.metrics else ("metric", "name")
            self._check_metric(metric, place, compares_var)
            if metric.name in [earlier.name for earlier in metrics[:i]]:
                self._mistake(place, f"{metric.name} stands here twice")
        return metrics

    def _check_metric(self, metric: Metric, place: Location, compares_var: bool) -> None:
        if not METRIC_NAME.fullmatch(metric.name):
            self._mistake(place, f"{metric.name!r} is no metric name: letters, digits, _ - . : / and spaces")
        if compares_var and metric.name.endswith(OF_THE_LOSS):
            # the decoder's variance is in it, so it cannot say which variance is best
            self._mistake(
                place,
                f"{metric.name} has var in it, so its values do not compare between values of var; "
                "use val_ssim, val_mse or val_nll",
            )

    def _check_method(
        self, method: str, form: SweepFile, domains: Mapping[str, Domain], varying: Collection[str]
    ) -> None:
        if method != "grid" and form.run_cap is None:
            self._mistake(("method",), f"{form.method} needs run_cap, the number of trials in total")
        if method not in LISTED:
            self._check_search(form, domains, varying)
        if method == BOUNDARY:
            self._check_boundary(form, domains, varying)
        elif form.boundary is not None and form.method != BOUNDARY:
            self._mistake(("boundary",), f"goes with method {BOUNDARY}")
        if method != "grid":
            return
        for name, domain in domains.items():
            try:
                domain.grid()
            except ValueError as error:
                self._mistake(("parameters", name), str(error))

    def _check_search(self, form: SweepFile, domains: Mapping[str, Domain], varying: Collection[str]) -> None:
        if form.metric is None and form.metrics is None and form.method != BOUNDARY:
            self._mistake(("method",), f"{form.method} needs metric, what it is to make best: {{name: ..., goal: ...}}")
        if form.metrics is not None and form.method in OF_ONE_METRIC:
            self._mistake(("metrics",), f"{form.method} makes one metric best; for several there are tpe and gp")
        if form.reuse:
            self._mistake(("reuse",), f"goes with {' and '.join(LISTED)}, whose trials are known beforehand")
        if not varying and form.method != BOUNDARY:
            self._mistake(
                ("parameters",), f"{form.method} has nothing to search: give a parameter values, or min and max"
            )
        if "seed" in varying:
            self._mistake(("parameters", "seed"), "a search does not search seeds; `seeds: [...]` replicates with them")
        for name, domain in domains.items():
            if isinstance(domain, Choice) and domain.probabilities is not None:
                self._mistake(("parameters", name, "probabilities"), "go with method random")
            elif isinstance(domain, Choice) and not all(isinstance(value, get_args(Scalar)) for value in domain.values):
                self._mistake(("parameters", name, "values"), f"lists and mappings go with {' and '.join(LISTED)}")

    def _check_replicates(self, form: SweepFile, replicates: Replicates, function: TrialFunction) -> None:
        seed = function.parameters.get("seed")
        if seed is None or not seed.is_integer:
            self._mistake(("replicates",), f"{function.name} has no whole number named seed as a parameter")
        if form.method == BOUNDARY:
            self._mistake(("replicates",), "boundary gives each trial a seed of its own; take the key out")
        if form.metrics is not None:
            self._mistake(("replicates",), "tells configurations apart by one metric; with `metrics`, list `seeds`")
        if form.stack > 1:
            self._mistake(("replicates",), "adds trials that are not known beforehand, which cannot be stacked")
        if len(form.seeds) >= replicates.max:
            self._mistake(
                ("replicates", "max"), f"is for the {len(form.seeds)} of `seeds` and further ones; give a larger number"
            )

    def _check_boundary(self, form: SweepFile, domains: Mapping[str, Domain], varying: Collection[str]) -> None:
        ranges = [domain for domain in domains.values() if isinstance(domain, Range)]
        rows = varying - domains.keys()
        if len(ranges) != 1 or len(varying) > 2 or rows:
            self._mistake(
                ("parameters",),
                "boundary wants one parameter with min and max, and at most one other, with values; "
                f"here are {len(ranges)} with min and max, {len(varying) - len(ranges)} with lists",
            )
        if form.seeds:
            self._mistake(("seeds",), "boundary gives each trial a seed of its own, 0, 1, 2, ...; take `seeds` out")
        if not form.divergence.enabled:
            self._mistake(("divergence", "enabled"), "boundary looks for explosions; without this there are none")
        width = form.boundary.width if form.boundary else None
        if width is not None and len(ranges) == 1:
            self._check_width(width, ranges[0])

    def _check_width(self, width: float, swept: Range) -> None:
        least, most = (1.0, swept.high / swept.low) if swept.log else (0.0, swept.high - swept.low)
        if not least < width < most:
            what = "ratio" if swept.log else "difference"
            self._mistake(
                ("boundary", "width"),
                f"is the {what} of the interval's ends: above {least:g}, below the range's {most:g}",
            )

    def _early_terminate(self, form: SweepFile, varying: Collection[str]) -> Pruner | None:
        if form.early_terminate is None:
            return None
        here: Location = ("early_terminate",)
        if form.method == BOUNDARY:
            self._mistake(here, f"does not go with method {BOUNDARY}, which has to see whether each trial explodes")
        pruner = self._pruner(here, form.early_terminate, PRUNERS)
        if isinstance(pruner, Wilcoxon):
            self._check_seeds_to_compare(pruner, form.seeds)
        is_alone = isinstance(pruner, Patient) and pruner.wrapped_pruner is None  # compares a trial with itself
        if pruner and pruner.metric:
            compares_var = form.trial == DEFAULT_TRIAL and "var" in varying and not is_alone
            self._check_metric(pruner.metric, (*here, "metric", "name"), compares_var)
        elif pruner and form.metrics:
            self._mistake((*here, "metric"), f"is missing: say which of `metrics` {pruner.type} looks at")
        return pruner

    def _pruner(self, location: Location, raw: Any, known: Mapping[str, type[Pruner]]) -> Pruner | None:
        if not (isinstance(raw, dict) and "type" in raw):
            self._mistake(location, f"wants {{type: ...}}, one of {', '.join(known)}")
            return None
        kind = known.get(str(raw["type"]))
        if kind is None:
            self._mistake((*location, "type"), f"there is no {raw['type']!r} here; {nearest(str(raw['type']), known)}")
            return None
        pruner = self._validated(kind, raw, location)
        if isinstance(pruner, Hyperband) and not pruner.brackets:
            self._mistake(location, "hyperband needs min_iter, or max_iter and s, with at least one bracket")
        if isinstance(pruner, Patient) and pruner.wrapped_pruner is not None:
            wrapped = self._wrapped((*location, "wrapped_pruner"), pruner.wrapped_pruner)
            return pruner.model_copy(update={"wrapped_pruner": wrapped})
        return pruner

    def _wrapped(self, location: Location, raw: Any) -> Pruner | None:
        wrapped = self._pruner(location, raw, {k: v for k, v in PRUNERS.items() if k not in ("patient", "wilcoxon")})
        if wrapped and wrapped.metric:
            self._mistake((*location, "metric"), "is that of the pruner around it; give it there")
        return wrapped

    def _check_seeds_to_compare(self, wilcoxon: Wilcoxon, seeds: Sequence[int]) -> None:
        """Of n seeds, all of them worse, the test says a probability of 2^-n."""
        least = max(2, wilcoxon.n_startup_steps)
        while 2.0**-least >= wilcoxon.p_threshold:
            least += 1
        if len(seeds) <= least:
            self._mistake(
                ("early_terminate",),
                f"wilcoxon needs at least {least + 1} `seeds`: with p_threshold {wilcoxon.p_threshold:g} it takes "
                f"{least} to tell configurations apart, and one more to be saved",
            )

    def _stacking(self, method: str, form: SweepFile, function: TrialFunction) -> Stacking:
        if form.stack == 1:
            return UNSTACKED
        if not function.stack_by:
            message = f"{function.name} trains one trial at a time; take the key out, or have it offer `stacked`"
            self._mistake(("stack",), f"{message} and `stack_by` as the README says")
        if method not in LISTED:
            self._mistake(("stack",), f"goes with {' and '.join(LISTED)}, whose trials are known beforehand")
        return Stacking(form.stack, function.stack_by)

    def _reference(self, form: SweepFile, function: TrialFunction) -> Reference | None:
        if form.reference is None:
            return None
        rows = tuple(
            self._reference_row(("reference", "rows", i), row, function) for i, row in enumerate(form.reference.rows)
        )
        return Reference(form.reference.source, rows)

    def _reference_row(self, location: Location, row: Mapping[str, Any], function: TrialFunction) -> ReferenceRow:
        params: dict[str, Any] = {}
        metrics: dict[str, float] = {}
        outcome = None
        for name, value in row.items():
            here = (*location, name)
            if name in function.parameters:
                params[name] = self._value(here, value, function.parameters[name])
            elif name == "outcome":
                outcome = self._known(Outcome, value, here)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                metrics[name] = float(value)
            else:
                self._mistake(here, "is neither a parameter, nor `outcome`, nor a metric with its number")
        return ReferenceRow(params, metrics, outcome)

    def _on_finish(self, form: SweepFile) -> OnFinish | None:
        if form.on_finish is None:
            return None
        command, url = form.on_finish.run, form.on_finish.post
        if (command is None) == (url is None):
            self._mistake(("on_finish",), "wants either `run`, a command, or `post`, a URL")
        if url is not None and not _is_url(url):
            self._mistake(("on_finish", "post"), "is no URL of the form https://host/path")
        try:
            words = shlex.split(command) if isinstance(command, str) else command or []
        except ValueError as error:
            self._mistake(("on_finish", "run"), f"cannot be taken apart: {str(error).lower()}")
            return None
        if command is not None and not (words and words[0]):
            self._mistake(("on_finish", "run"), "names no command")
        return OnFinish(tuple(words), url or "")

    def _known(self, kind: Callable[[Any], Outcome], value: Any, location: Location) -> Outcome | None:
        try:
            return kind(value)
        except ValueError:
            self._mistake(location, f"no outcome is called {value!r}; {nearest(str(value), list(Outcome))}")
            return None


def _keys(kind: type[Form], location: Location) -> list[str]:
    """The keys that could stand at the place of an unknown one."""
    if kind in PARAMETER_FORMS:
        return list(dict.fromkeys(key for form in PARAMETER_FORMS for key in form.model_fields))
    schema = kind.model_json_schema()
    keys = schema["properties"]
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        node = keys.get(part, {})
        options = [option.get("items", option) for option in node.get("anyOf", [node])]
        reference = next((option["$ref"] for option in options if "$ref" in option), None)
        keys = schema["$defs"][reference.rsplit("/", 1)[1]]["properties"] if reference else {}
    return list(keys)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of brackets and ports
        return False


def _quoted(message: str) -> list[str]:
    return message.split("'")[1::2]
