"""The tools of the server; each is a call of the command, and gives the document that it prints with --json."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from orchestrator.errors import SweepError
from orchestrator.mcp.calls import SECONDS_FOR_A_MISTAKE, Background, Told, document
from orchestrator.mcp.permission import Permission

ABOUT = (
    "Sweeps: many trials of a training function or program, recorded in MLflow. A trial that exploded is a result. "
    "Documents are those of `sweep ... --json`; `sweep schema --of-json` has their JSON Schema."
)


class Tools:
    """What a client can call.

    Args:
        permission: what it may launch.
        uri: of the store.
    """

    def __init__(self, permission: Permission, uri: str) -> None:
        self._permission = permission
        self._environment = {"MLFLOW_TRACKING_URI": uri}
        self._background = Background()

    async def status(self, sweep: str = "") -> Told:
        """How far a sweep is, or all sweeps: trials by outcome, the best so far, what runs, the time left."""
        return await self._document("status", operands=[self._permission.sweep(sweep)] if sweep else [])

    async def results(self, sweeps: list[str]) -> Told:
        """The trials of one sweep or of several, with parameters, outcome, metrics and run id, the best first."""
        return await self._document("compare", operands=[self._permission.sweep(one) for one in sweeps])

    async def best(self, sweep: str) -> Told:
        """A sweep's best configuration over its seeds with its interval, its Pareto front, or its boundary."""
        return await self._document("best", operands=[self._permission.sweep(sweep)])

    async def judge(
        self, a: str, b: str, sweep: str = "", metric: str = "", run: bool = False, max_seeds: int = 8
    ) -> Told:
        """Whether configuration A is better than B, by the seeds that both have.

        Each is the label of a configuration, the first letters of a run's id, or a sweep, whose best one is meant. With
        `run`, further seeds of both run in the background until it is decided; call it again later without.
        """
        options = [f"--max-seeds={max_seeds}", *([f"--metric={metric}"] if metric else [])]
        options += [f"--sweep={self._permission.sweep(sweep)}"] if sweep else []
        operands = [self._permission.sweep(a), self._permission.sweep(b)]
        if run:
            self._permission.check("run seeds")
        told = await self._document("judge", options, operands)
        if not run:
            return told
        for one in ("a", "b"):
            self._permission.file(told[one]["file"])
        options += ["--run", *self._permission.options]
        begun = await self._background.begin("judge", options, operands, self._environment, SECONDS_FOR_A_MISTAKE)
        return {"judgement": told, **begun}

    async def plan(self, file: str, sets: Sequence[str] = ()) -> Told:
        """What a launch of a sweep file would run, and how long that may take. `sets`: NAME=VALUE of parameters."""
        self._permission.check("plan")
        return await self._document("plan", _sets(sets), [self._permission.file(file)])

    async def launch(self, file: str, sets: Sequence[str] = (), workers: int | None = None) -> Told:
        """Launch a sweep file in the background, or go on with it; `status` says how far it is.

        It goes on when this server is gone, and ends at the limits of this server. `sets`: NAME=VALUE of parameters.
        """
        self._permission.check("launch")
        options = [*_sets(sets), *([] if workers is None else [f"--workers={workers}"]), *self._permission.options]
        return await self._background.begin("launch", options, [self._permission.file(file)], self._environment)

    async def stop(self, sweep: str, trials: Sequence[str] = ()) -> Told:
        """End a launch as Ctrl-C does: nothing is lost, and a later launch goes on. Or end these of its trials."""
        self._permission.check("stop")
        return await self._document("stop", operands=[self._permission.sweep(sweep), *trials])

    async def _document(self, name: str, options: Sequence[str] = (), operands: Sequence[str] = ()) -> Told:
        return await document(name, options, operands, self._environment)


def serve(permission: Permission, uri: str) -> None:
    """Answer over standard input and output, until standard input ends."""
    server: Any = MCPServer("sweep", instructions=f"{ABOUT} {permission.in_words}")
    tools = Tools(permission, uri)
    for tool in (tools.status, tools.results, tools.best, tools.judge, tools.plan, tools.launch, tools.stop):
        server.add_tool(_saying_why(tool))
    server.run("stdio")


def _saying_why(tool: Callable[..., Awaitable[Told]]) -> Callable[..., Awaitable[Told]]:
    """A tool whose errors come to the client in words; of others, the SDK tells it nothing."""

    @wraps(tool)
    async def call(*arguments: Any, **named: Any) -> Told:
        try:
            return await tool(*arguments, **named)
        except SweepError as error:
            raise ToolError(str(error)) from error

    return call


def _sets(sets: Sequence[str]) -> list[str]:
    return [f"--set={one}" for one in sets]
