"""What is said of a process that was killed: for its memory, where the system says so, and what it took."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from reading import children

from orchestrator.system import memory
from orchestrator.system.memory import MemoryKills, _groups

LIMIT = 700_000_000  # of a launch and a trial, of which mlflow takes a part
EATER = """
    import sys, time
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Config:
        megabytes: int = 0
        seed: int = 0

    def eat(megabytes):
        eaten = []
        for _ in range(megabytes):
            eaten.append(b"x" * 1_000_000)
        print("not hungry any more", flush=True)

    def train(config: Config):
        eat(config.megabytes)
        yield {"epoch": 1, "loss": 1.0}

    if __name__ == "__main__":
        eat(int(sys.argv[1].partition("=")[2]))
        print("epoch 1 loss=1.0")
"""
WAYS = {
    "function": "trial: eater:train\n",
    "program": "program: eater.py\n",
    "shell": 'command: [bash, -c, "python eater.py $0; exit 7", "${args_no_hyphens}"]\n',
}


@pytest.fixture
def limited_processes() -> Iterator[Path]:
    """The file that lists the processes of a cgroup of so much memory: what is written there is put into it."""
    groups = [*_groups()]
    if not groups:
        pytest.skip("no cgroup counts memory here")
    folder = groups[0].folder / f"sweep-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / groups[0].limit_file).write_text(str(LIMIT))
    except OSError as error:
        pytest.skip(f"no cgroup may be made here: {error}")
    yield folder / "cgroup.procs"
    folder.rmdir()


@pytest.fixture
def limited(limited_processes: Path) -> Callable[[], None]:
    """What puts a new process into it."""
    procs = str(limited_processes)

    def enter() -> None:
        with open(procs, "w") as file:  # noqa: PTH123
            file.write("0")

    return enter


ALONE = "out of memory, also alone on the machine: "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "outcome", "ended"),
    [
        ("function", "infeasible", f"{ALONE}its worker was killed by SIGKILL for its memory, as the system says ("),
        ("program", "infeasible", f"{ALONE}the program was killed by SIGKILL for its memory, as the system says (it"),
        (
            "shell",
            "failed",
            "the program exited with status 7 after a process, of this trial or of another, was killed ",
        ),
    ],
)
def test_a_process_that_the_kernel_kills_for_its_memory_is_said_to_be_so(
    way: str, outcome: str, ended: str, folder: Path, store: str, limited: Callable[[], None]
) -> None:
    (folder / "eater.py").write_text(dedent(EATER))
    (folder / "sweep.yaml").write_text(f"{WAYS[way]}retries: 0\nparameters: {{megabytes: {{values: [1000]}}}}\n")
    launch = [sys.executable, "-m", "orchestrator", "launch", "sweep.yaml", "--workers", "1"]
    done = subprocess.run(launch, preexec_fn=limited, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == (outcome == "failed"), (done.stdout, done.stderr)
    (run,) = children(store, "sweep")
    assert run.data.tags["outcome"] == outcome
    reason = run.data.tags["failure.reason" if outcome == "failed" else "infeasible.reason"]
    assert reason.startswith(ended)
    assert "the limit of the cgroup is 0.7 GB, its processes took 0.7 GB at most)" in reason


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{content}\n")


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that stand in for those of cgroups, version 2, as a process in a container sees them."""
    (tmp_path / "cgroup").write_text("0::/pod/trial\n")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "MOUNTED", tmp_path / "mounted")
    return tmp_path / "mounted"


def test_the_tightest_limit_around_a_process_is_the_one_that_is_named(mounted: Path) -> None:
    group(mounted / "pod", memory_max=2_000_000_000, memory_peak=1_999_000_000)
    group(mounted / "pod" / "trial", memory_max="max", memory_peak=500, memory_events="low 0\noom 0\noom_kill 3")
    kills = MemoryKills()
    assert kills.of_killed("") == ""
    assert kills.of_killed("it took 1.0 GB") == " (it took 1.0 GB, the limit of the cgroup is 2.0 GB)"
    assert kills.of_failed("") == ""
    group(mounted / "pod" / "trial", memory_events="low 0\noom 1\noom_kill 4\noom_group_kill 0")
    said = kills.of_killed("")
    assert said.startswith(" for its memory, as the system says (the limit of the cgroup is 2.0 GB, ")
    assert kills.of_killed("") == ""  # each kill is that of one process
    group(mounted / "pod" / "trial", memory_events="oom_kill 9")
    kills.forget()
    assert kills.of_killed("") == kills.of_failed("") == ""


def test_where_the_system_does_not_count_nothing_is_said_to_be_memory(mounted: Path) -> None:
    mounted.mkdir()
    kills = MemoryKills()
    assert kills.of_killed("") == kills.of_failed("") == ""
    assert kills.of_killed("it took 1.0 GB").startswith(" (it took 1.0 GB, the machine has ")


def test_a_container_without_the_path_of_its_host_has_its_own_group_as_the_root(mounted: Path) -> None:
    group(mounted, memory_max=3_000_000_000, memory_events="oom_kill 0")
    kills = MemoryKills()
    group(mounted, memory_events="oom_kill 1")
    assert "the limit of the cgroup is 3.0 GB" in kills.of_killed("")


def test_the_first_version_of_cgroups_has_other_names(mounted: Path) -> None:
    memory.GROUPS.write_text("4:memory:/docker/3f\n1:cpu,cpuacct:/\n0::/\n")
    own = mounted / "memory" / "docker" / "3f"
    own.mkdir(parents=True)
    (own / "memory.limit_in_bytes").write_text("400000000\n")
    (own / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    kills = MemoryKills()
    (own / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert kills.of_killed("") == " for its memory, as the system says (the limit of the cgroup is 0.4 GB)"
