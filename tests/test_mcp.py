"""`sweep mcp`, asked by the SDK's own client: what it reads, what it launches, and what it may not do."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from reading import children

from orchestrator.errors import InputError
from orchestrator.mcp.permission import Permission

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
Ask = Callable[..., Coroutine[Any, Any, tuple[bool, Any]]]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"


def talk(options: list[str], what: Callable[[Any, Ask], Coroutine[Any, Any, None]]) -> None:
    """Start a server, and talk with it; `what` gets its introduction, and a call of its tools."""
    mcp = pytest.importorskip("mcp")
    command = [sys.executable, "-m", "orchestrator", "mcp", *options]
    server = mcp.StdioServerParameters(command=command[0], args=command[1:], env={**os.environ}, cwd=Path.cwd())

    async def main() -> None:
        with Path(os.devnull).open("w") as errors:
            await talked(mcp.stdio_client(server, errors))

    async def talked(connection: Any) -> None:
        async with connection as streams, mcp.ClientSession(*streams) as session:

            async def ask(tool: str, **arguments: Any) -> tuple[bool, Any]:
                answer = await session.call_tool(tool, arguments)
                return not answer.is_error, answer.content[0].text if answer.is_error else answer.structured_content

            await what(await session.initialize(), ask)

    asyncio.run(main())


def test_files_are_taken_by_their_real_paths_alone(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside.yaml"
    inside.mkdir()
    outside.touch()
    (inside / "own.yaml").touch()
    (inside / "link.yaml").symlink_to(outside)
    (tmp_path / "to-own.yaml").symlink_to(inside / "own.yaml")
    allowed = Permission(inside, 3, 60)
    assert allowed.file(str(inside / "own.yaml")) == str(inside / "own.yaml")
    assert allowed.file(str(tmp_path / "to-own.yaml")) == str(inside / "own.yaml")
    for path in ("link.yaml", "../outside.yaml", "/etc/passwd", "."):
        with pytest.raises(InputError, match="is not beneath"):
            Permission(inside / "deeper" if path == "." else inside, 3, 60).file(str(inside / path))
    assert allowed.sweep("a name") == "a name"
    with pytest.raises(InputError, match="only reads, and does not take files"):
        Permission(None, 3, 60).sweep(str(inside / "own.yaml"))
    assert allowed.options == ["--max-trials=3", "--max-time=60"]


def test_without_the_sdk_it_says_what_is_missing(folder: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.delitem(sys.modules, "orchestrator.mcp.server", raising=False)
    done = sweep("mcp")
    assert done.returncode == 2
    assert done.stderr.startswith("sweep: sweep mcp needs the SDK of the protocol: pip install 'vae-sweeps[mcp]'")


@pytest.mark.slow
def test_a_server_reads_and_says_what_it_may_not_do(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2]}}\nseeds: [0, 1]\n")
    sweep("launch", path, "--quiet", "--executor", "inline")

    async def what(introduced: Any, ask: Ask) -> None:
        assert "This server only reads" in introduced.instructions
        _, told = await ask("status")
        assert [(one["sweep"], one["results"]) for one in told["sweeps"]] == [("toy", 4)]
        _, told = await ask("results", sweeps=["toy"])
        assert [one["params"]["x"] for one in told["trials"]] == [1, 1, 2, 2]
        _, told = await ask("judge", a="x=1", b="x=2")
        assert told["kind"] == "judgement"
        for tool, arguments in (
            ("launch", {"file": str(path)}),
            ("plan", {"file": str(path)}),
            ("stop", {"sweep": "toy"}),
            ("judge", {"a": "x=1", "b": "x=2", "run": True}),
            ("best", {"sweep": str(path)}),
        ):
            is_done, said = await ask(tool, **arguments)
            assert not is_done
            assert "this server only reads" in said
            assert "--allow-launch FOLDER" in said
        is_done, said = await ask("best", sweep="--help")
        assert not is_done
        assert "the store has no sweep --help; it has toy" in said

    talk([], what)
    assert len(children(store, "toy")) == 4


@pytest.mark.slow
def test_a_launch_keeps_to_its_limits_when_the_server_is_gone(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    (folder / "allowed").mkdir()
    text = TOY + "parameters: {x: {values: [1, 2, 3, 4]}, pause: 1.0, epochs: 4}\n"
    path = write(text, "allowed/toy.yaml")
    elsewhere = write(text, "elsewhere.yaml")
    (folder / "allowed" / "toys.py").write_text((folder / "toys.py").read_text())

    async def what(introduced: Any, ask: Ask) -> None:
        assert "with at most 2 trials and 600 seconds for each launch" in introduced.instructions
        is_done, said = await ask("launch", file=str(elsewhere))
        assert not is_done
        assert "is not beneath" in said
        _, told = await ask("plan", file=str(path))
        assert told["sweeps"][0]["to_run"] == 4
        is_done, said = await ask("launch", file=str(path), sets=["y=1"])
        assert not is_done
        assert "unknown parameter y" in said
        is_done, told = await ask("launch", file=str(path), workers=1)
        assert is_done, told
        assert not told["has_ended"]

    talk(["--allow-launch", "allowed", "--max-trials", "2", "--max-time", "10m"], what)
    until = time.monotonic() + 240
    while [one["results"] for one in json.loads(sweep("status", "--json").stdout)["sweeps"] if not one["is_live"]] != [
        2
    ]:
        assert time.monotonic() < until
        time.sleep(1)
    assert len(children(store, "toy")) == 2


@pytest.mark.slow
def test_a_launch_begins_no_more_trials_than_it_may(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2, 3]}}")
    done = sweep("launch", path, "--max-trials", "2", "--executor", "inline", "--quiet")
    assert done.returncode == 0
    assert "--max-trials: 2 trials begun, and no more; run the command again for the rest" in done.stderr
    assert "not run: 1 of 3" in done.stdout
    done = sweep("launch", path, "--max-trials", "2", "--executor", "inline", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(children(store, "toy")) == 3


@pytest.mark.slow
def test_a_launch_ends_by_itself_when_its_time_is_used_up(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2]}, pause: 1.0, epochs: 1000}")
    began = time.monotonic()
    done = sweep("launch", path, "--max-time", "15s", "--workers", "1")
    assert done.returncode == 130
    assert "--max-time is used up; run the command again for the rest" in done.stderr
    assert "interrupted; resume with: " in done.stdout
    assert 15 < time.monotonic() - began < 90


@pytest.mark.slow
def test_seeds_that_a_judgement_asks_for_keep_to_the_limits_of_the_server(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    (folder / "allowed").mkdir()
    path = write(TOY + "parameters: {x: {values: [1, 2]}}\n", "allowed/toy.yaml")
    (folder / "allowed" / "toys.py").write_text((folder / "toys.py").read_text())
    elsewhere = write(TOY + "parameters: {x: {values: [3, 4]}}\n", "elsewhere.yaml")
    for file in (path, elsewhere):
        assert sweep("launch", file, "--quiet", "--executor", "inline").returncode == 0
    begun: list[Any] = []

    async def what(introduced: Any, ask: Ask) -> None:
        is_done, said = await ask("judge", a="x=3", b="x=4", sweep="elsewhere", run=True)
        assert not is_done
        assert "is not beneath" in said
        is_done, told = await ask("judge", a="x=1", b="x=2", sweep="toy", run=True, max_seeds=5)
        assert is_done, told
        assert told["judgement"]["most"] == 5
        begun.append(told)

    talk(["--allow-launch", "allowed", "--max-trials", "1", "--max-time", "5m"], what)
    until, log = time.monotonic() + 100, Path(begun[0]["log"])
    while not log.read_text().endswith("\n"):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert json.loads(log.read_text())["kind"] == "judgement"
    assert len(children(store, "toy")) == 2 + 1
    assert len(children(store, "elsewhere")) == 2
