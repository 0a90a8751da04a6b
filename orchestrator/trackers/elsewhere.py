"""Asks the launch that holds a sweep on another machine, through the store that both have."""

import secrets
import time
from contextlib import suppress

from mlflow.exceptions import MlflowException

from orchestrator.errors import InputError, SweepError
from orchestrator.requests.asking import NobodyError, encoded, read_answer
from orchestrator.requests.calls import Answer, Call, Request
from orchestrator.trackers import lease
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.noticeboard import ANSWER, REQUEST
from orchestrator.trackers.open_run import LONGEST_TAG
from orchestrator.trackers.store import Store

PATIENCE_SECONDS = 20.0  # twice what an answer may take, and more than a holder is silent that lives
SECONDS_BETWEEN_LOOKS = 0.5


class Elsewhere(Store):
    """The launch of a sweep, as another machine sees it."""

    @translates_errors
    def ask(self, sweep: str, call: Call) -> Answer:
        """The answer of the launch that holds a sweep.

        Raises:
            NobodyError: none does, as far as the store knows.
            InputError: it ended before it answered; or the request is too long.
            SweepError: it does not answer.
        """
        experiment = self.client.get_experiment_by_name(sweep)
        parent = self.parent(experiment) if experiment else None
        holder = lease.holder_elsewhere(self.client, experiment.experiment_id) if experiment else None
        if parent is None or holder is None or experiment is None:
            raise NobodyError(f"no launch of {sweep} is at work")
        content = encoded(Request(holder.token, call)).decode()
        if len(content) > LONGEST_TAG:
            raise InputError(
                f"a request through a store has up to {LONGEST_TAG:,} characters; name fewer trials at once"
            )
        name, run_id = f"{time.time_ns():020d}-{secrets.token_hex(8)}", parent.info.run_id
        self.client.set_tag(run_id, f"{REQUEST}{name}", content)
        try:
            until, heard, beat = time.monotonic() + PATIENCE_SECONDS, time.monotonic(), holder.beat
            while time.monotonic() < until:
                # in this order: what has ended by then had answered before
                now = lease.holder_elsewhere(self.client, experiment.experiment_id)
                parent = self.parent(experiment) or parent  # a launch that takes the sweep over makes another one
                run_id, tags = parent.info.run_id, parent.data.tags
                if f"{ANSWER}{name}" in tags:
                    return read_answer(tags[f"{ANSWER}{name}"].encode(), sweep)
                if now is None or now.token != holder.token:
                    raise InputError(
                        f"the launch of {sweep} ended before it answered; `sweep status` says how far it is"
                    )
                heard, beat = (heard if now.beat == beat else time.monotonic()), now.beat
                time.sleep(SECONDS_BETWEEN_LOOKS)
            done = "nothing was done" if self._deleted(run_id, f"{REQUEST}{name}") else "it may yet do what was asked"
            if time.monotonic() - heard > 2 * (lease.SECONDS_BETWEEN_HEARTBEATS + SECONDS_BETWEEN_LOOKS):
                raise NobodyError(
                    f"no launch of {sweep} is at work: nothing is heard of the one {holder.where}; {done}"
                )
            raise SweepError(f"the launch of {sweep}, {holder.where}, does not answer; {done}")
        finally:
            for tag in (f"{REQUEST}{name}", f"{ANSWER}{name}"):
                self._deleted(run_id, tag)

    def _deleted(self, run_id: str, tag: str) -> bool:
        with suppress(MlflowException, OSError):
            self.client.delete_tag(run_id, tag)
            return True
        return False
