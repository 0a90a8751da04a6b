"""What jobs of Slurm and their launch do to each other; the jobs are processes of this machine, without a cluster."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path
from typing import Any

import driving
import local_jobs
import pytest
from driving import attempts, epochs, final
from local_jobs import KEEPING, LocalJobs, run

from orchestrator.errors import SweepError
from orchestrator.events import Event, Progress
from orchestrator.executors.remote import greeting
from orchestrator.executors.remote.greeting import Address, RefusedError
from orchestrator.executors.remote.link import Link
from orchestrator.executors.remote.listening import AgentListener
from orchestrator.executors.slurm import arrivals
from orchestrator.executors.slurm.arrivals import Arrivals
from orchestrator.executors.slurm.clock import Clock
from orchestrator.executors.slurm.commands import Job
from orchestrator.executors.slurm.door import Caller, Door
from orchestrator.executors.slurm.executor import SlurmExecutor
from orchestrator.spec.executor_forms import SlurmForm
from orchestrator.system.interrupt import Interrupt
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import journal

Open = Callable[..., SlurmExecutor]
PREPARING = """
import time
from pathlib import Path
from toys import Config

def train(config: Config):
    yield {"train_loss": 1.0}

def prepare(config: Config):
    with Path("preparing").open("a") as file:
        file.write("x")
    if len(Path("preparing").read_text()) == 1:
        time.sleep(600)

train.prepare = prepare
"""


@pytest.fixture
def jobs() -> LocalJobs:
    return LocalJobs()


@pytest.fixture
def open_(folder: Path, interrupt: Interrupt, jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens executors of one sweep, one after the other, on the same jobs."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setattr(arrivals, "SHORTEST_PAUSE", 0.2)
    monkeypatch.setattr("orchestrator.executors.slurm.jobs.SECONDS_WHILE_WAITING", 1.0)
    (folder / "keeping.py").write_text(KEEPING)
    (folder / "preparing.py").write_text(PREPARING)
    log = folder / "launch" / "workers.log"
    with ExitStack() as opened:

        def open_(function: str = "keeping:train", workers: int = 1, **more: Any) -> SlurmExecutor:
            form = SlurmForm(**more.pop("block", {}))
            setup = driving.setup(function, interrupt, workers=workers, log=log, **{"limits": {}, **more})
            made = opened.enter_context(local_jobs.executor(setup, jobs, form))
            opened.callback(jobs.cancel_all)
            return made

        yield open_


def abandon(executor: SlurmExecutor) -> None:
    """Have the jobs of an executor lose it, as where its process is killed."""
    executor._is_open = False
    executor._listener.close()


def resumed(executor: SlurmExecutor, taken: Trial, workdir: Path) -> list[Event]:
    executor.submit(taken, workdir)
    return until_idle(executor)[taken.label]


def until_idle(executor: SlurmExecutor) -> dict[str, list[Event]]:
    return driving.drive(executor, [], Path())


def until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told(folder: Path) -> list[int]:
    return [entry.event.epoch for entry in journal.read(folder) if isinstance(entry.event, Progress)]


def keeping(label: str = "a", **params: Any) -> Trial:
    return Trial("keeping:train", 1, params, label)


# A launch that is killed, and the next one


def begun(executor: SlurmExecutor, trials: dict[str, Trial]) -> dict[str, list[Event]]:
    """Trials, by their folder, each of which has told two epochs; then the launch is killed."""
    for workdir, trial in trials.items():
        executor.submit(trial, Path(workdir))
    heard: dict[str, list[Event]] = {trial.label: [] for trial in trials.values()}
    while any(len(epochs(events)) < 2 for events in heard.values()):
        for trial, event in executor.events():
            heard[trial.label].append(event)
    abandon(executor)
    return heard


@pytest.mark.slow
def test_a_trial_goes_on_while_its_launch_is_away_and_the_next_one_takes_it_over(open_: Open, folder: Path) -> None:
    heard = begun(open_(), {"trial": keeping(epochs=40, pause=0.1)})
    events = resumed(open_(), keeping(epochs=40, pause=0.1), folder / "trial")
    assert final(events).outcome is Outcome.COMPLETED
    assert attempts(events) == attempts(heard["a"])  # the same process, which has begun once
    assert told(folder / "trial") == [*range(1, 41)]


@pytest.mark.slow
def test_a_trial_that_had_to_make_room_and_is_asked_for_before_its_epoch_ends_runs_again(
    open_: Open, folder: Path
) -> None:
    begun(open_(), {"held": keeping("held", epochs=6, pause=1.5)})
    executor = open_()
    while executor._strangers or not any(slot.held for slot in executor._slots):
        executor._wait((), time.monotonic() + 0.1)  # until the job has called
    executor.submit(keeping("other", epochs=1, pause=0.1), folder / "other")
    executor._begin_stacks()
    assert any(slot._is_yielding for slot in executor._slots)
    executor.submit(keeping("held", epochs=6, pause=1.5), folder / "held")
    heard = until_idle(executor)
    assert final(heard["held"]).outcome is Outcome.COMPLETED
    assert len(attempts(heard["held"])) == 2
    assert final(heard["other"]).outcome is Outcome.COMPLETED


def stacked(number: int) -> Trial:
    params = {"x": float(number), "epochs": 12, "pause": 0.3}
    return Trial("toys:stackable", 1, params, str(number), place=number)


@pytest.mark.slow
def test_a_stack_of_which_not_all_is_asked_for_ends_before_its_trials_run_again(open_: Open, folder: Path) -> None:
    first = open_("toys:stackable", stack=4)
    begun(first, {str(number): stacked(number) for number in (1, 2, 3, 4)})
    executor = open_("toys:stackable", stack=4)
    for number in (9, 1, 2, 3):
        executor.submit(stacked(number), folder / str(number))
    heard: dict[str, list[Event]] = {}
    while len(heard) < 3:
        for trial, event in executor.events():
            heard.setdefault(trial.label, []).append(event)
    executor.submit(stacked(4), folder / "4")
    for label, events in until_idle(executor).items():
        heard.setdefault(label, []).extend(events)
    assert {label: final(events).outcome for label, events in heard.items()} == dict.fromkeys(
        ("9", "1", "2", "3", "4"), Outcome.COMPLETED
    )
    assert driving.stacks(folder) == ["4 of 4", "4 of 4", "1 of 4"]
    for number in (1, 2, 3, 4):
        assert sorted({*told(folder / str(number))}) == [*range(1, 13)]
        assert len(told(folder / str(number))) <= 13  # the one whose checkpoint was not kept yet


@pytest.mark.slow
def test_jobs_of_other_options_leave_the_queue_and_end_after_their_trial(
    open_: Open, jobs: LocalJobs, folder: Path
) -> None:
    heard = begun(open_(), {"trial": keeping(epochs=20, pause=0.1)})
    jobs.waiting["7_1"] = inf
    jobs.scripts["7_1"] = jobs.scripts["1_1"]
    same = open_()
    assert [*jobs.waiting] == ["7_1"]
    abandon(same)
    executor = open_(block={"mem": "16G"})
    for label, pause in (("a", 0.1), ("b", 0.0)):
        executor.submit(keeping(label, epochs=20, pause=pause), folder / ("trial" if label == "a" else label))
    again = until_idle(executor)
    assert attempts(again["a"]) == attempts(heard["a"])
    assert final(again["a"]).outcome is final(again["b"]).outcome is Outcome.COMPLETED
    assert not jobs.waiting
    assert jobs.arrays == 2
    assert jobs.scripts["2_1"] != jobs.scripts["1_1"]
    assert jobs.processes["1_1"].wait(10) == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["verdict", "hang"])
def test_a_job_that_no_launch_comes_back_for_ends_though_its_trial_waits_or_hangs(
    open_: Open, jobs: LocalJobs, folder: Path, how: str
) -> None:
    limits = {"stall_seconds": 10.0, "stall_factor": 1.0}
    executor = open_(block={"idle": "2s"}, awaits_verdicts=how == "verdict", limits=limits)
    executor.submit(keeping(epochs=40, pause=0.1 if how == "verdict" else 600.0), folder / "trial")
    heard: list[Event] = []
    while not attempts(heard):
        heard += [event for _, event in executor.events()]
    abandon(executor)
    assert jobs.processes["1_1"].wait(60) == 0


# Jobs that end, and that do not begin


@pytest.mark.slow
def test_a_job_that_is_asked_to_end_does_so_after_the_epoch_and_its_trial_goes_on_in_another_one(
    open_: Open, jobs: LocalJobs, folder: Path
) -> None:
    events = run(open_(), folder, 3, jobs.cancel_all, epochs=6, pause=0.2)
    assert final(events).outcome is Outcome.COMPLETED
    assert len(attempts(events)) == 2
    assert [process.poll() for process in jobs.processes.values()] == [0, None]


@pytest.mark.slow
def test_a_job_that_comes_back_into_the_queue_is_one_of_as_many_as_there_are_to_be(
    open_: Open, jobs: LocalJobs, folder: Path
) -> None:
    events = run(open_(), folder, 3, lambda: jobs.requeue(["1_1"]), epochs=24, pause=0.4)
    assert final(events).outcome is Outcome.COMPLETED
    assert len(attempts(events)) == 2
    assert not jobs.waiting
    assert jobs.running == ["2_1"]


@pytest.mark.slow
def test_a_job_that_is_lost_while_it_prepares_is_no_death_of_a_worker(
    open_: Open, jobs: LocalJobs, folder: Path
) -> None:
    executor = open_("preparing:train", limits={"retries": 0})

    def lose() -> None:
        until((folder / "preparing").exists)
        jobs.cancel(["1_1"], signal.SIGKILL)

    thread = threading.Thread(target=lose)
    thread.start()
    executor.prepare([{}])
    thread.join()
    assert (folder / "preparing").read_text() == "xx"


@pytest.mark.slow
def test_jobs_that_leave_no_log_end_the_launch_with_the_folder_that_they_do_not_see(
    open_: Open, jobs: LocalJobs, folder: Path
) -> None:
    jobs.instead = {0: []}
    executor = open_(workers=2)
    with pytest.raises(SweepError, match=f"left no log, 3 times in a row: do the nodes see {folder}/launch/slurm"):
        executor.prepare([{}])
    assert jobs.arrays == 3


@pytest.mark.slow
def test_a_node_on_which_jobs_fail_is_told_once_and_asked_for_more_and_more_seldom(
    open_: Open, jobs: LocalJobs, folder: Path
) -> None:
    jobs.instead = {1: ["bash", "-c", "echo no such module; exit 3"]}
    remarks: list[str] = []
    executor = open_(workers=2, on_remark=remarks.append)
    events = run(executor, folder, -1, lambda: None, epochs=50, pause=0.2)
    assert final(events).outcome is Outcome.COMPLETED
    (remark,) = remarks
    assert remark.startswith("3 jobs in a row ended before they could run a trial, the last on local: no such module")
    assert 4 <= jobs.arrays <= 10  # each of them fails within a second or two


@pytest.mark.slow
def test_a_job_that_runs_and_does_not_call_is_told_with_the_address_of_the_launch(
    open_: Open, jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "SECONDS_TO_COME", 0.5)
    jobs.instead = {0: ["sleep", "60"]}
    remarks: list[str] = []
    executor = open_(on_remark=remarks.append)
    while not remarks:
        executor._wait(())
    for _ in range(3):
        executor._wait(())
    (remark,) = remarks
    assert remark.startswith("job 1_1 has been running on local for a minute and has not called yet")
    assert f"connect to {socket.gethostname()}" in remark
    assert f"port {executor._listener.address.port}" in remark


def test_jobs_that_are_cancelled_in_the_queue_at_once_count_once(tmp_path: Path) -> None:
    found = Arrivals(tmp_path)
    for _ in range(2):
        found.expect(["1_1", "1_2", "1_3"])
        found.compare({})
    assert not found.are_failing
    assert found.pause > 3
    found.expect(["2_1"])
    found.has_come("2_1")
    assert found.pause == 0
    found.expect(["3_1"])
    found.compare({"3_1": Job("3_1", "PENDING", "")})
    assert [*found.awaited] == ["3_1"]


# What a job knows of its time


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has `squeue` answer with this."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)

    def says(line: str) -> None:
        (tmp_path / "squeue").write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "squeue").chmod(0o755)

    return says


def known(clock: Clock) -> bool:
    return clock.is_nearly_over or clock._ends_at is not None


def test_a_job_takes_no_trial_for_which_it_has_no_time_as_the_longest_epoch_of_all_its_trials_tells(
    squeue: Callable[[str], None],
) -> None:
    squeue("echo 10:00")
    clock = Clock()
    until(lambda: known(clock))
    clock.saw_epoch(300.0)
    assert not clock.is_nearly_over  # 600 - 60 - 450
    clock.saw_epoch(1.0)
    clock.saw_epoch(370.0)
    assert clock.is_nearly_over


def test_a_job_asks_again_for_its_time_where_slurm_did_not_answer(
    squeue: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.executors.slurm.clock.SECONDS_BETWEEN_QUERIES", 0.1)
    squeue("exit 1")
    clock = Clock()
    for _ in range(5):
        assert not known(clock)
        time.sleep(0.1)
    squeue("echo 0:05")
    until(lambda: clock.is_nearly_over)


def test_a_job_knows_its_time_from_its_environment_where_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 5))
    assert Clock().is_nearly_over
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 600))
    assert not Clock().is_nearly_over


# How a job calls its launch


@pytest.mark.slow
def test_a_job_tries_one_address_at_a_time_and_first_the_one_that_has_answered() -> None:
    link = Link()
    with (
        AgentListenerAtWork("127.0.0.1", lambda name: Link()) as listener,
        socket.create_server(("127.0.0.2", listener.address.port)),
    ):  # which accepts, and says nothing
        caller, door = Caller("me"), Door(["127.0.0.2", "127.0.0.1"], listener.address.port, listener.address.key)
        assert not caller.dial(door, link)
        assert caller.dial(door, link)
        assert caller.dial(door, link)
    link.detach()


class AgentListenerAtWork(AgentListener):
    """Pumps in a thread, while the block runs."""

    def __enter__(self) -> "AgentListenerAtWork":
        self._is_at_work = True
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def _work(self) -> None:
        while self._is_at_work:
            self.pump()
            time.sleep(0.01)

    def __exit__(self, *error: object) -> None:
        self._is_at_work = False
        self._thread.join()
        self.close()


def test_only_who_has_the_key_can_refuse_a_job() -> None:
    with AgentListenerAtWork("127.0.0.1", lambda name: None) as listener, pytest.raises(RefusedError):
        greeting.dial(listener.address, "me", Link())
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting.frame({"challenge": "aa"}))
                connection.recv(4096)
                connection.sendall(greeting.frame({"refused": "go away"}))

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(ConnectionAbortedError, match="somebody else"):
            greeting.dial(Address("127.0.0.1", server.getsockname()[1], "aa"), "me", Link())
        thread.join()
