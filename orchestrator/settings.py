"""How a launch runs, beside what its file says."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator import executors
from orchestrator.errors import InputError
from orchestrator.progress.allowance import Allowance
from orchestrator.spec import SweepSpec
from orchestrator.trial import Trial

SECONDS_OF_WAITING = 10.0


@dataclass(frozen=True)
class Settings:
    """How a launch runs, beside what the file says."""

    uri: str
    executor: str | None = None  # where the command says so; else the file's, or processes of this machine
    workers: int | None = None
    trial_timeout: float | None = None
    adopt: bool = False  # whether to go on with a sweep of the same name that is of another file
    wait: float = SECONDS_OF_WAITING  # for a store that does not answer as the launch begins
    rerun: bool = False  # whether trials with other code, or in MLflow's trash, run anew
    set_executor: Sequence[str] = ()  # NAME=VALUE, of the options of the executor
    further: Sequence[Trial] = ()  # run in place of what the file asks for; what the sweep came to stays as it is
    allowance: Allowance = field(default_factory=Allowance)

    def __post_init__(self) -> None:
        if self.executor and not executors.find(self.executor).isolates and self.trial_timeout is not None:
            raise InputError(
                f"the {self.executor} executor cannot end a trial; remove the trial timeout, or use another executor"
            )
        if self.workers is not None and self.workers < 1:
            raise InputError(f"there must be at least 1 worker, and not {self.workers}")
        if self.trial_timeout is not None and not self.trial_timeout > 0:
            raise InputError(f"the trial timeout must be above 0 seconds, and not {self.trial_timeout:g}")

    def place(self, spec: SweepSpec) -> executors.Place:
        """Where the trials of a sweep run.

        Raises:
            InputError: its executor has no such option.
        """
        return executors.place_of(spec.executor, self.executor, self.set_executor)
