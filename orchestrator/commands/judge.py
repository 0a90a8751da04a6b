"""`sweep judge`."""

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands import again
from orchestrator.commands.lookup import completions, store
from orchestrator.commands.options import AsJson, DataDir, MaxTime, MaxTrials, TrackingUri, Workers, use_data
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.terminal.consoles import print_line, stdout, warn

if TYPE_CHECKING:
    from orchestrator.commands.contenders import Contenders
    from orchestrator.comparison.judgement import Contender, Judging
    from orchestrator.settings import Settings
    from orchestrator.spec import Objective

MOST_SEEDS = 8
NOT_BETTER, UNDECIDED = 3, 4
STATUS = {True: 0, False: NOT_BETTER, None: UNDECIDED}
WHAT = (
    "A configuration by its label; a run by the first letters of its id; or a sweep, by its YAML file or its name, "
    "for its best configuration."
)


def judge(
    a: Annotated[str, typer.Argument(metavar="A", help=WHAT, autocompletion=completions)],
    b: Annotated[str, typer.Argument(metavar="B", help="What A is compared with.", autocompletion=completions)],
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="FILE or NAME", help="The sweep that A and B are looked for in.", autocompletion=completions
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="By which of several metrics of the sweep.")
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run further seeds of both, one after the other, until it is decided.")
    ] = False,
    max_seeds: Annotated[
        int,
        typer.Option(min=2, metavar="N", help="So many seeds of each there are to be at most; choose it beforehand."),
    ] = MOST_SEEDS,
    max_trials: MaxTrials = None,
    max_time: MaxTime = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Say whether A is better than B, by how much and how certainly, from the seeds that both have.

    Exit status: 0 A is better; 3 it is not: B is; 4 undecided; 2 bad input; 130 interrupted.
    """
    from orchestrator.commands.contenders import Contenders

    uri = paths.tracking_uri(tracking_uri)
    known = Contenders(store(uri), sweep, metric)
    pair = known.find(a), known.find(b)
    if (pair[0].sweep, pair[0].config_key) == (pair[1].sweep, pair[1].config_key):
        raise InputError(f"A and B are the same configuration, {pair[0].title}")
    objective = known.objective([one.sweep for one in pair])
    if run:
        use_data(data_dir)
        from orchestrator.progress.allowance import Allowance
        from orchestrator.settings import Settings

        settings = Settings(uri, workers=workers, allowance=Allowance(max_trials, max_time))
        judgement = _decided(known, pair, objective, max_seeds, settings)
    else:
        judgement = _judged(known, pair, objective, max_seeds)
    if as_json:
        from orchestrator.documents.judgement import JudgementDocument
        from orchestrator.terminal.json_output import emit

        files = {one.sweep: known.reader.last_launch(one.sweep).file for one in pair}
        emit(JudgementDocument.of(judgement, files))
    else:
        for line in judgement.sentences():
            print_line(stdout(), line)
        if judgement.better is None and judgement.is_open and not run:
            called = shlex.join(sys.argv[1:])
            print_line(stdout(), f"run them: {again.command()} {paths.redacted(called)} --run")
    raise typer.Exit(STATUS[judgement.better])


def _judged(known: "Contenders", pair: "tuple[Contender, Contender]", objective: "Objective", most: int) -> "Judging":
    """The judgement by what the store has now."""
    from orchestrator.comparison.judgement import Judging

    records = [record for name in {one.sweep for one in pair} for record in known.reader.records(name, [objective])]
    a, b = (known.again(one, objective) for one in pair)
    survivors = all(known.reader.last_launch(one.sweep).survivors for one in pair)
    return Judging.of(a, b, objective, records, most, survivors)


def _decided(
    known: "Contenders", pair: "tuple[Contender, Contender]", objective: "Objective", most: int, settings: "Settings"
) -> "Judging":
    """The judgement after further seeds: when it is decided, or no further one would be likely to decide it."""
    from orchestrator.commands.further import FurtherSeeds, wanted

    seeds = FurtherSeeds(known.reader)
    judgement = _judged(known, pair, objective, most)
    if judgement.is_open:
        seeds.check(pair)
    while judgement.is_open and not settings.allowance.remark:
        asked = wanted(judgement)
        is_interrupted = any(launched.interrupted for launched in seeds.run(asked, settings))
        if is_interrupted and settings.allowance.seconds_left != 0:
            called = paths.redacted(shlex.join(sys.argv[1:]))
            warn(f"interrupted; go on with: {again.command()} {called}")
            raise typer.Abort
        judgement = _judged(known, pair, objective, most)
        now = {one.contender.config_key: one.results for one in (judgement.a, judgement.b)}
        if settings.allowance.remark:
            break
        failed = [f"seed {seed} of {one.title}" for one, seed in asked if seed not in now[one.config_key]]
        if failed:
            warn(f"{' and '.join(failed)} failed, so no further seeds are run; `sweep logs` shows why")
            break
    if settings.allowance.remark:
        warn(settings.allowance.remark)
    return judgement
