"""The real loop, tracker, recorder and journals, on workers and a store that fail at whatever point they can.

A history is a few unlucky launches of one sweep and a last one that nothing befalls. After each of them, and at the
end, the invariants of docs/design.md have to hold.
"""

import base64
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mlflow.entities import LifecycleStage, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_STATE, RESOURCE_DOES_NOT_EXIST
from tenacity import wait_fixed

from orchestrator import executors, launching
from orchestrator.errors import SweepError
from orchestrator.events import Event, Finished
from orchestrator.executors.contract import Setup
from orchestrator.progress.live import LiveProgress
from orchestrator.spec import SweepSpec, load
from orchestrator.terminal.display import Display
from orchestrator.trackers import Recorder, Tracker, images, recorder, retrying, store
from orchestrator.trackers.recorder import Batch, Errand, Pending
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.grid import expand
from orchestrator.worker import journal, runner
from orchestrator.worker.monitor import Monitor
from orchestrator.workspace import Workspace

EPOCHS = 3
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
SCORES = (2.0, 5.0, 3.0)
SWEEP = """
trial: test_loop:train
metric: {name: score, goal: maximize}
retries: 1
parameters: {x: {values: [1, 2, 3]}, explodes: {values: [false, true]}}
"""


@dataclass(frozen=True)
class Config:
    x: float = 1.0
    explodes: bool = False


def train(config: Config, workdir: Path) -> Iterator[dict[str, float]]:
    (workdir / "artifacts").mkdir(exist_ok=True)
    (workdir / "artifacts" / "note.txt").write_text("kept")
    (workdir / "images" / "state").mkdir(parents=True, exist_ok=True)
    checkpoint, bad_luck = workdir / "checkpoint", workdir / "bad luck"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for epoch in range(done + 1, EPOCHS + 1):
        if bad_luck.exists():
            bad_luck.unlink()
            raise RuntimeError("bad luck")
        (workdir / "images" / "state" / f"{epoch}.png").write_bytes(PICTURE)
        loss = float("nan") if config.explodes and epoch == EPOCHS else config.x / epoch
        yield {"epoch": epoch, "train_loss": loss, "score": config.x * SCORES[epoch - 1]}
        checkpoint.write_text(str(epoch))
    return {"final_score": config.x}


class Killed(BaseException):
    """The orchestrator ends here, and leaves everything as it is."""


@dataclass(frozen=True)
class Fault:
    """What befalls a call to the store: before it is carried out, halfway, or when only its answer is missing."""

    kind: str = ""  # busy, away (busy until the launch ends), refused, killed, interrupted, interrupted twice
    when: str = "before"
    calls: int = 1


FAULTS = st.builds(
    Fault,
    st.sampled_from(["busy", "busy", "away", "killed"]),
    st.sampled_from(["before", "halfway", "after"]),
    st.integers(1, 3),
) | st.builds(Fault, st.sampled_from(["refused", "interrupted", "interrupted twice"]))
CALLS = st.tuples(
    st.sampled_from(["create_run", "log_batch", "set_terminated", "update_run", "set_tag", "delete_tag"])
    | st.sampled_from(["search_runs", "get_metric_history", "log_artifacts", "log_text", "create_experiment"])
    | st.sampled_from(["log_image", "list_artifacts", "set_experiment_tag"]),
    st.integers(1, 9),
)
FATES = st.sampled_from(
    ["dies untold", "dies late", "dies told", "dies writing", "raises", "pruned", "interrupted"]
) | st.sampled_from(["interrupted twice", "killed"])


@dataclass(frozen=True)
class Luck:
    """What befalls one launch: faults by the call to the store and its number, fates by the number of the event."""

    faults: Mapping[tuple[str, int], Fault] = field(default_factory=dict)
    fates: Mapping[int, str] = field(default_factory=dict)
    workers: int = 2
    events_a_write: int = 1


LUCK = st.builds(
    Luck,
    st.dictionaries(CALLS, FAULTS, max_size=3),
    st.dictionaries(st.integers(1, 30), FATES, max_size=6),
    st.integers(1, 3),
    st.sampled_from([1, 3, 7]),
)


@dataclass
class Run:
    """A run, and all that was ever logged to it."""

    run_id: str
    tags: dict[str, str]
    status: str = "RUNNING"
    params: dict[str, str] = field(default_factory=dict)
    points: list[tuple[str, int, int, float]] = field(default_factory=list)
    artifacts: set[str] = field(default_factory=set)
    stage: str = "active"
    images: list[str] = field(default_factory=list)  # files

    def steps(self, name: str) -> list[int]:
        return [step for known, step, _, _ in self.points if known == name]

    @property
    def metrics(self) -> dict[str, float]:
        ordered = sorted(self.points, key=lambda point: point[1:3])
        return {name: value for name, _, _, value in ordered}

    @property
    def has_result(self) -> bool:
        return "outcome" in self.tags and Outcome(self.tags["outcome"]).is_result

    def as_mlflow_has_it(self) -> SimpleNamespace:
        data = SimpleNamespace(tags=dict(self.tags), metrics=self.metrics, params=dict(self.params))
        return SimpleNamespace(
            info=SimpleNamespace(
                run_id=self.run_id,
                run_name=self.run_id,
                experiment_id="1",
                status=self.status,
                lifecycle_stage=self.stage,
                artifact_uri="memory:/",
                start_time=0,
                end_time=None,
            ),
            data=data,
        )


class Page(list[SimpleNamespace]):
    token = None


class MemoryStore:
    """As much of MLflow as the tracker uses, in memory."""

    def __init__(self) -> None:
        self.experiment: SimpleNamespace | None = None
        self.runs: dict[str, Run] = {}

    @property
    def children(self) -> list[Run]:
        return [run for run in self.runs.values() if "trial_key" in run.tags and run.stage == "active"]

    def search_experiments(self, **_: object) -> Page:
        return Page()

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return self.experiment

    def get_experiment(self, experiment_id: str) -> SimpleNamespace | None:
        return self.experiment

    def create_experiment(self, name: str, artifact_location: str, tags: dict[str, str]) -> str:
        self.experiment = SimpleNamespace(experiment_id="1", name=name, tags=tags, lifecycle_stage="active")
        return "1"

    def search_runs(self, experiments: list[str], wanted: str, stage: int = ViewType.ACTIVE_ONLY, **_: object) -> Page:
        tags = re.findall(r"tags\.`?([\w.]+)`? = '([^']*)'", wanted)
        names = re.findall(r"tags\.(\w+) LIKE '%'", wanted)
        lacking = set(re.findall(r"tags\.`?([\w.]+)`? IS NULL", wanted))
        runs = [run for run in self.runs.values() if LifecycleStage.matches_view_type(stage, run.stage)]
        found = [run for run in runs if set(tags) <= run.tags.items() and set(names) <= run.tags.keys()]
        return Page(run.as_mlflow_has_it() for run in found if lacking.isdisjoint(run.tags))

    def create_run(self, experiment_id: str, tags: Mapping[str, str]) -> SimpleNamespace:
        run = Run(f"run {len(self.runs)}", dict(tags))
        self.runs[run.run_id] = run
        return run.as_mlflow_has_it()

    def get_run(self, run_id: str) -> SimpleNamespace:
        return self.runs[run_id].as_mlflow_has_it()

    def delete_run(self, run_id: str) -> None:
        self.runs[run_id].stage = "deleted"

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id].status = status

    set_terminated = update_run

    def log_batch(self, run_id: str, metrics=(), params=(), tags=()) -> None:
        run = self.runs[run_id]
        run.params |= {param.key: param.value for param in params}
        told = [(point.key, point.step, point.timestamp, point.value) for point in metrics]
        run.points += [point for point in told if point not in run.points]  # as MLflow keeps those once
        run.tags |= {tag.key: tag.value for tag in tags}

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.runs[run_id].tags[key] = value

    def delete_tag(self, run_id: str, key: str) -> None:
        if self.runs[run_id].tags.pop(key, None) is None:
            raise MlflowException(f"No tag with name: {key}", RESOURCE_DOES_NOT_EXIST)

    def get_metric_history(self, run_id: str, name: str) -> list[SimpleNamespace]:
        points = [point for point in self.runs[run_id].points if point[0] == name]
        return [SimpleNamespace(step=step, timestamp=at, value=value) for _, step, at, value in points]

    def log_text(self, run_id: str, text: str, name: str) -> None:
        self.runs[run_id].artifacts.add(name)

    def log_artifact(self, run_id: str, path: str, place: str | None = None) -> None:
        self.log_text(run_id, "", Path(path).name)

    def log_artifacts(self, run_id: str, folder: str) -> None:
        self.runs[run_id].artifacts |= {path.name for path in Path(folder).iterdir()}

    def log_image(self, run_id: str, image: object, key: str, step: int, files: int = 2) -> None:
        images = self.runs[run_id].images
        images += [f"images/{key}+step+{step}+timestamp+1+{run_id}-{len(images) + i}.png" for i in range(files)]

    def list_artifacts(self, run_id: str, folder: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(path=path) for path in self.runs[run_id].images]

    def delete_artifacts(self, path: str) -> None:
        for run in self.runs.values():
            run.images = [file for file in run.images if file != path]

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        assert self.experiment is not None
        self.experiment.tags[key] = value


class UnluckyClient:
    """The client of one launch. What fails does so at the number of a call, wherever in the program that is made."""

    _tracking_client = SimpleNamespace(store=None)  # that of no database

    def __init__(self, memory: MemoryStore, luck: Luck) -> None:
        self.memory = memory
        self.events_a_write = luck.events_a_write
        self.faults = {(call, n + i): fault for (call, n), fault in luck.faults.items() for i in range(fault.calls)}
        self.calls: Counter[str] = Counter()
        self.answers = True
        self.is_away = False
        self.is_killed = False

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.calls[name] += 1
            fault = self._fault(name)
            halfway = fault.when == "halfway" and name in ("log_batch", "log_image")
            if not (halfway or fault.when == "after"):
                self._befall(fault)
            if halfway:
                kwargs.pop("tags", None)  # MLflow writes them last
                kwargs |= {"files": 1} if name == "log_image" else {}
            result = getattr(self.memory, name)(*args, **kwargs)
            if halfway or fault.when == "after":
                self._befall(fault)
            return result

        return call

    def _fault(self, name: str) -> Fault:
        if self.is_killed:
            return Fault("killed")
        return Fault("away") if self.is_away else self.faults.get((name, self.calls[name]), Fault())

    def _befall(self, fault: Fault) -> None:
        self.answers = fault.kind not in ("busy", "away", "refused", "killed")
        if not fault.kind:
            return
        if fault.kind.startswith("interrupted"):
            interrupt(fault.kind)
            return
        if fault.kind == "killed":
            self.kill()
        self.is_away |= fault.kind == "away"
        raise MlflowException("by ill luck", INVALID_STATE if fault.kind == "refused" else INTERNAL_ERROR)

    def kill(self) -> None:
        """The launch ends here, and nothing of it comes through any more."""
        self.is_killed = True
        raise Killed


def interrupt(kind: str) -> None:
    if threading.current_thread() is threading.main_thread():
        for _ in range(2 if kind.endswith("twice") else 1):
            signal.raise_signal(signal.SIGINT)


class RecorderInStep(Recorder):
    """Has written what is put before it goes on, unless the store is away: so a history always goes the same way.

    It writes once so many events have come as is the launch's luck, and at each end of a trial.
    """

    def __init__(self, tracker: Tracker, workspace: Workspace, say: Callable[[str], None]) -> None:
        self._due, self._done = threading.Event(), threading.Event()
        self._unwritten = 0
        super().__init__(tracker, workspace, say, patience=0.05)

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        self._unwritten += 1
        if self._unwritten < self.tracker.client.events_a_write and not event.is_final:
            return
        self._unwritten = 0
        self._done.clear()
        self._due.set()
        while self._thread.is_alive() and not self.tracker.client.is_away:
            if self._done.wait(0.001):
                return

    def close(self, at_once: Callable[[], bool] = lambda: False) -> None:
        self._waited_for_since = time.monotonic()
        self._due.set()
        super().close(at_once)

    def _collected(self) -> Batch:
        self._done.set()
        self._due.wait()
        if self._waited_for_since is None:
            self._due.clear()
        told: Pending = {}
        while not self._queue.empty():
            if (one := self._queue.get()) is None:
                return Batch(told, is_last=True)
            if isinstance(one, Errand):
                return Batch(told, one)
            told.setdefault(one[0].trial_key, (one[0], []))[1].append(one[1])
        return Batch(told)


@dataclass
class UnluckyExecutor:
    """Runs what a worker runs, a step of each trial in turn, and has workers die as their fate is."""

    history: "History"
    client: UnluckyClient
    luck: Luck
    setup: Setup
    running: list["Attempt"] = field(default_factory=list)
    steps: Iterator[int] = field(default_factory=lambda: count(1))

    def __enter__(self) -> "UnluckyExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        for begun in self.running:
            begun.events.close()

    def prepare(self, configs: object) -> None: ...

    @property
    def has_free_slot(self) -> bool:
        return len(self.running) < self.luck.workers

    @property
    def idle(self) -> bool:
        return not self.running

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        self.history.check_that_it_has_to_run(trial, workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        self.running.append(Attempt(trial, runner.Task(trial.function, trial.params, workdir, self.setup.divergence)))

    def events(self) -> Iterator[tuple[Trial, Event]]:
        begun = self.running.pop(0)
        fate = self.luck.fates.get(next(self.steps), "")
        if fate == "killed":
            self.client.kill()
        if fate.startswith("interrupted"):
            interrupt(fate)
        is_interrupted, retries = self.setup.interrupt.requested, self.setup.limits.retries
        event = Finished(Outcome.INTERRUPTED) if is_interrupted else begun.event(fate, retries)
        if event is None or not event.is_final:
            self.running.append(begun)
        else:
            begun.events.close()
        if event is not None:
            yield begun.trial, event


@dataclass
class Attempt:
    """A trial in a worker, over as many deaths of it as are forgiven."""

    trial: Trial
    task: runner.Task
    deaths: int = 0

    def __post_init__(self) -> None:
        (self.task.workdir / "bad luck").unlink(missing_ok=True)
        self.events = runner.run(self.task)

    def event(self, fate: str, retries: int) -> Event | None:
        """What the worker tells next, or None if it has died and is replaced."""
        match fate:
            case "pruned":
                return self._pruned()
            case "raises":
                (self.task.workdir / "bad luck").touch()
            case "dies untold":  # after the event stood in the journal
                next(self.events)
                return self._dies(retries)
            case "dies late":  # after the next one, too: the checkpoint is of an epoch that was never told
                next(self.events)
                next(self.events, None)
                return self._dies(retries)
            case "dies writing":
                next(self.events)
                self._tear_the_journal()
                return self._dies(retries)
            case "dies told":
                event = self._told()
                if not event.is_final:
                    self._dies(retries + 1)
                return event
        return self._told()

    def _told(self) -> Event:
        event = next(self.events)
        if not event.is_final and event.kind == "progress":
            self.deaths = 0
        return event

    def _dies(self, retries: int) -> Finished | None:
        self.events.close()
        self.events = runner.run(self.task)
        self.deaths += 1
        return Finished(Outcome.FAILED, reason="its worker was killed") if self.deaths > retries else None

    def _pruned(self) -> Finished:
        self.events.close()
        end = Finished(Outcome.PRUNED)
        journal.write(self.task.workdir, end, Monitor(self.task.divergence).state)
        return end

    def _tear_the_journal(self) -> None:
        path = self.task.workdir / journal.JOURNAL_FILE
        path.write_bytes(path.read_bytes()[:-3]) if path.exists() else None


class Ends(Display):
    """Counts how often each trial was begun and ended."""

    def __init__(self, spec: SweepSpec) -> None:
        super().__init__(LiveProgress(spec.name, spec.objectives[0]))
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    def start(self, trial: Trial) -> None:
        super().start(trial)
        self.begun[trial.trial_key] += 1

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        self.ended[trial.trial_key] += event.is_final


class History:
    """Launches of one sweep on one store, and what has to hold of them."""

    def __init__(self, spec: SweepSpec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spec = spec
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        folder.mkdir()
        (folder / "mlflow.db").touch()
        self.work = folder / "work" / spec.name
        self.memory = MemoryStore()
        self.monkeypatch = monkeypatch
        self.submitted: set[str] = set()
        self.results: dict[str, tuple[dict[str, str], dict[str, float]]] = {}

    def launch(self, luck: Luck) -> None:
        """Launch once, and look at what is left."""
        running = self.running()
        display = Ends(self.spec)
        client = UnluckyClient(self.memory, luck)
        self.monkeypatch.setattr(store, "client_of", lambda _: client)
        self.monkeypatch.setattr(images, "get_artifact_repository", lambda *_: client)
        self.monkeypatch.setattr(
            executors,
            "create",
            lambda _, setup: UnluckyExecutor(self, client, luck, setup),
        )
        try:
            launching.launch(self.spec, launching.Settings(self.uri, workers=luck.workers), display)
        except (Killed, KeyboardInterrupt):
            pass
        except SweepError as error:
            if "by ill luck" not in str(error):
                raise
            assert not client.answers or self.running() <= running
        else:
            assert display.begun == display.ended == Counter(display.begun.keys())
            assert not self.running()
        self.check()

    def running(self) -> set[str]:
        return {run.run_id for run in self.memory.runs.values() if run.status == "RUNNING"}

    def check_that_it_has_to_run(self, trial: Trial, workdir: Path) -> None:
        assert trial.trial_key not in self.results
        assert not any(entry.event.is_final for entry in journal.read(workdir))
        self.submitted.add(trial.trial_key)

    def check(self) -> None:
        runs = {run.tags["trial_key"]: run for run in self.memory.children}
        assert len(runs) == len(self.memory.children)
        for run in runs.values():
            steps = run.steps("train_loss")
            assert steps == list(range(1, len(steps) + 1))
            assert run.steps("score") in (steps, [*steps, EPOCHS])
            assert all(count == 1 for count in Counter(name for name, step, *_ in run.points if step == 0).values())
        for key in self.submitted:
            assert (self.work / key).exists() or runs[key].has_result
        results = {key: (dict(run.tags), run.metrics) for key, run in runs.items() if run.has_result}
        assert self.results.items() <= results.items()
        self.results = results

    def check_the_end(self) -> None:
        trials = expand(self.spec).trials
        runs = {run.tags["trial_key"]: run for run in self.memory.children}
        assert runs.keys() == {trial.trial_key for trial in trials}
        assert not any((self.work / trial.trial_key).exists() for trial in trials)
        for trial in trials:
            check_result(trial, runs[trial.trial_key])


def check_result(trial: Trial, run: Run) -> None:
    x, outcome = trial.params["x"], run.tags["outcome"]
    assert run.params == {name: str(value) for name, value in trial.params.items()}
    assert "failure.reason" not in run.tags
    assert run.tags["epochs_run"] == str(len(run.steps("train_loss")))
    if outcome == "pruned":
        assert run.status == "KILLED"
        return
    assert run.tags["threads"]
    assert outcome == ("loss explosion" if trial.params["explodes"] else "completed")
    assert run.status == ("FAILED" if trial.params["explodes"] else "FINISHED")
    assert len(run.steps("train_loss")) == EPOCHS - trial.params["explodes"]
    assert run.metrics.get("final_score") == (None if trial.params["explodes"] else x)
    best = {} if trial.params["explodes"] else {"best_score": x * max(SCORES), "best_epoch": 2}
    assert {name: value for name, value in run.metrics.items() if name.startswith("best_")} == best
    epochs = [path.split("+")[2] for path in run.images]
    assert sorted(epochs) == [str(epoch) for epoch in range(1, EPOCHS + 1) for _ in range(images.FILES_OF_AN_IMAGE)]
    assert run.artifacts == {"note.txt"} | (run.artifacts & {"log.txt"})


Begin = Callable[[], History]


@pytest.fixture
def begin(folder: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begin a history, in a world in which nobody waits for long."""
    for module in (recorder, retrying):
        monkeypatch.setattr(module, "WAIT", wait_fixed(0.001))
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(recorder, "LAST_SECONDS", 0.0)
    monkeypatch.setattr(launching, "Recorder", RecorderInStep)
    tell = threading.excepthook
    monkeypatch.setattr(threading, "excepthook", lambda args: None if args.exc_type is Killed else tell(args))
    spec, number = load(write(SWEEP)), count(1)
    return lambda: History(spec, folder / str(next(number)), monkeypatch)


def go_through(history: History, lucks: Iterable[Luck]) -> None:
    for luck in [*lucks, Luck()]:
        history.launch(luck)
    history.check_the_end()


HISTORIES = given(lucks=st.lists(LUCK, min_size=1, max_size=4))
HYPOTHESIS = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


KILLED_BEFORE_THE_STATUS = Luck({("set_terminated", 1): Fault("killed")})
REFUSED_IN_THE_MIDDLE = Luck({("log_batch", 8): Fault("refused")})
RESULT_WITHOUT_ITS_LAST_EPOCH = Luck(fates={4: "dies late"}, workers=1)
FAILED_AT_FIRST = Luck(fates={3: "raises"}, workers=1)
MAKING_A_RUN_UNANSWERED = Luck({("create_run", 2): Fault("busy", "after")})
REFUSED_WHILE_A_RUN_IS_TAKEN_UP = Luck({("get_metric_history", 1): Fault("refused")})
A_PICTURE_HALFWAY = Luck({("log_image", 2): Fault("killed", "halfway")})
A_PICTURE_UNANSWERED = Luck({("log_image", 2): Fault("busy", "after")})
TAKING_A_TAG_AWAY_UNANSWERED = Luck({("delete_tag", 1): Fault("busy", "after")})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # threads of other tests draw their waits
@settings(HYPOTHESIS, max_examples=80)
@example(lucks=[KILLED_BEFORE_THE_STATUS])
@example(lucks=[REFUSED_IN_THE_MIDDLE])
@example(lucks=[RESULT_WITHOUT_ITS_LAST_EPOCH])
@example(lucks=[FAILED_AT_FIRST])
@example(lucks=[MAKING_A_RUN_UNANSWERED])
@example(lucks=[A_PICTURE_HALFWAY])
@example(lucks=[A_PICTURE_UNANSWERED])
@example(lucks=[FAILED_AT_FIRST, REFUSED_WHILE_A_RUN_IS_TAKEN_UP])
@example(lucks=[FAILED_AT_FIRST, TAKING_A_TAG_AWAY_UNANSWERED])
@HISTORIES
def test_whatever_fails_every_trial_comes_to_one_whole_result(begin: Begin, lucks: list[Luck]) -> None:
    go_through(begin(), lucks)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # threads of other tests draw their waits
@settings(HYPOTHESIS, max_examples=200)
@HISTORIES
def test_hundreds_of_histories_come_to_whole_results(begin: Begin, lucks: list[Luck]) -> None:
    go_through(begin(), lucks)
