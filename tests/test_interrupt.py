"""Signals, as a launch takes them."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.spec import load
from orchestrator.system.interrupt import Interrupt


def test_a_hangup_that_nohup_has_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_is_over_after_its_grace() -> None:
    with Interrupt(grace=0.05) as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert (interrupt.requested, interrupt.at_once) == (True, False)
        time.sleep(0.2)
        assert interrupt.at_once


def test_a_program_has_all_of_its_grace(write: Callable[..., Path]) -> None:
    program = "command: train\nparameters: {lr: {values: [1]}}\n"
    graces = [load(write(text)).grace for text in ("{}", program, f"{program}grace: 60s\n")]
    assert graces == [10, 11, 61]


def test_what_begins_after_the_second_one_ends_in_a_moment(
    interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.system.interrupt.LAST_SECONDS", 0.05)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    assert interrupt.at_once
    with interrupt.raising():
        pass  # what needs no waiting is done all the same
    with pytest.raises(KeyboardInterrupt), interrupt.raising():
        time.sleep(60)
