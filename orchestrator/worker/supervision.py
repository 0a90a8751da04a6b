"""A process that has a child do its work, and sees to it that nothing of the child is left behind."""

import atexit
import faulthandler
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from orchestrator.system import descendants
from orchestrator.worker.spawn import die_with_parent, start

SECONDS_TO_END = 5.0  # for what a process does once its work is done: its threads, and what is registered with atexit


def work_in_child(context: ForkContext | SpawnContext, work: Callable[..., None], *arguments: Any) -> None:
    """Call `work` in a child, and end all that it leaves. Where the child dies before that, this process does so too.

    Args:
        context: how the child begins.
        work: of a module, where the child is spawned.
        arguments: of it.
    """
    known = {process.pid for process in descendants.living(os.getpid())} if descendants.reap() else set()
    done, theirs = context.Pipe(duplex=False)
    is_fork = isinstance(context, ForkContext)
    child: BaseProcess = context.Process(target=_work, args=(theirs, os.getpid(), is_fork, work, *arguments))
    child.start() if is_fork else start(child)
    theirs.close()
    has_done = _awaited(child, done)
    done.close()
    status = child.exitcode or 0
    if descendants.reap():
        descendants.kill_all(os.getpid(), but=known)
        descendants.reap()
    if not has_done:
        _die_of(status)


def _awaited(child: BaseProcess, done: Connection) -> bool:
    """Wait for the end of a child; returns whether it had done its work by then."""
    end = _end_of(child)
    parent = parent_process()
    others = [] if parent is None else [parent.sentinel]
    try:
        ready = wait([end, done, *others])
        has_done = done in ready and _has_message(done)
        if has_done:
            ready = wait([end, *others], SECONDS_TO_END)
        elif done in ready and end not in ready:  # the other end is closed, and its process about to be
            ready = wait([end, *others])
    finally:
        os.close(end)
    if parent is not None and parent.sentinel in ready:
        descendants.kill_all(os.getpid())
        os.killpg(0, signal.SIGKILL)
    if not ready:
        child.kill()
    child.join()
    return has_done


def _end_of(child: BaseProcess) -> int:
    """What becomes readable when a child ends, to be closed."""
    try:
        return os.pidfd_open(child.pid or 0)
    except (AttributeError, OSError):  # macOS and old kernels; the child's own children may hold the end of this
        return os.dup(child.sentinel)


def _has_message(done: Connection) -> bool:
    try:
        return bool(done.recv_bytes())
    except (EOFError, OSError):
        return False


def _work(done: Connection, parent: int, is_fork: bool, work: Callable[..., None], *arguments: Any) -> None:
    die_with_parent()
    if os.getppid() != parent:  # it had died before that
        os._exit(1)
    if is_fork:
        atexit._clear()  # what the parent has registered is for its own end
    work(*arguments)
    done.send_bytes(b"done")
    atexit._run_exitfuncs()


def _die_of(status: int) -> None:
    """End as a process did that has ended with this status, negative for a signal."""
    if status < 0:
        faulthandler.disable()  # where this process is has nothing to do with it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):  # SIGKILL needs none, and has none
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)
