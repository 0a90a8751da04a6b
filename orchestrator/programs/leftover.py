"""What an attempt had logged when it was cut off, and nobody had taken in: it may go on from after that."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.events import is_series
from orchestrator.programs.epochs import Between, Epochs, Late, Made, NewCurve, Whole
from orchestrator.programs.followers import ProgramFollower
from orchestrator.programs.followers.event_files import EventFiles
from orchestrator.programs.followers.mlflow_store import MlflowStore
from orchestrator.programs.followers.output import OutputLines
from orchestrator.programs.kept import Begin, State
from orchestrator.programs.logged import Logged
from orchestrator.programs.program import Program
from orchestrator.programs.ways import FOLLOWED, Ways
from orchestrator.system.paths import LOG_FILE

MILLISECOND = 0.001


def leftover(state: State, program: Program, workdir: Path, checkpoints: Path, mlflow: Path) -> Iterator[Made]:
    """The epochs that were logged and not taken in.

    What was logged at its source is in the state. What was followed is read once more, from where that attempt began.

    Args:
        state: what that attempt has kept.
        program: which program it was.
        workdir: of the trial.
        checkpoints: the program's own folder.
        mlflow: the store that MLflow in the program wrote to.
    """
    if (begin := state.begin) is None:
        return
    if state.chosen is not None and state.chosen not in FOLLOWED:
        if state.under_way is not None and state.under_way[0] > state.epoch:
            yield Whole(*state.under_way, begin.at)
        return
    followers: list[ProgramFollower] = [
        MlflowStore(mlflow),
        EventFiles(begin.pid, [program.folder], checkpoints, [Path(name) for name in state.files], begin.at),
        OutputLines(workdir / LOG_FILE, begin.log, program.pattern),
    ]
    logged = [one for follower in followers for one in follower.end() if isinstance(one, Logged)]
    yield from _new(state, begin, program, [one for one in logged if one.at >= begin.at - MILLISECOND])


def _new(state: State, begin: Begin, program: Program, logged: Sequence[Logged]) -> Iterator[Made]:
    """Of what these calls make, what is after the last whole epoch."""
    ways = Ways(program.compared, asked=program.pattern is not None, chosen=state.chosen)
    epochs = Epochs(program.compared, begin.epoch, offset=begin.offset, counts=begin.counts)
    made: list[Made] = []
    for message in [*ways.take(logged), *ways.end()]:
        made += epochs.take(message, beside=ways.is_beside(message))
    made += epochs.end()
    last, counts = state.epoch, state.counts
    for item in made:
        match item:
            case NewCurve(number=1) if begin.has_restarted:
                continue
            case NewCurve(number=1) if item.epoch <= 1:
                last = 0
            case Whole() | Late() if item.epoch <= last:
                continue
            case Between() if is_series(item.name) and item.count <= counts.get(item.metric, 0):
                continue
        yield item
    state.take(epochs, ways.chosen)
