"""Processes that do the same work at the same time, one round after another, and sleep between the rounds."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Crew:
    """So many processes of so many threads each; `work` is called in each of them, and yields a result by round."""

    def __init__(
        self, work: Callable[..., Iterator[Any]], *arguments: Any, processes: int = 1, threads: int | None = None
    ) -> None:
        self.work = work
        self.arguments = arguments
        self.processes = processes
        self.threads = threads  # None leaves it to torch
        self._members: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []

    def __enter__(self) -> "Crew":
        # before they import torch, as a sweep's workers have it
        variables = {} if self.threads is None else dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        with _environment(variables):
            self._members = [self._start() for _ in range(self.processes)]
        return self

    def __exit__(self, *_: object) -> None:
        for process, connection in self._members:
            connection.close()
            process.terminate()
            process.join()

    def round(self) -> list[Any]:
        """The result of each process, after all have begun together."""
        for _, connection in self._members:
            connection.send(True)
        return [connection.recv() for _, connection in self._members]

    def _start(self) -> tuple[multiprocessing.process.BaseProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.work, self.arguments), daemon=True)
        process.start()
        theirs.close()
        return process, ours


def _serve(connection: Connection, work: Callable[..., Iterator[Any]], arguments: tuple[Any, ...]) -> None:
    rounds = work(*arguments)
    try:
        while connection.recv():
            connection.send(next(rounds))
    except EOFError:
        return


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
