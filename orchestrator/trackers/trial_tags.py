"""The tags by which a run is that of a trial."""

from orchestrator.trackers import trial_params
from orchestrator.trackers.open_run import LONGEST_RUN_NAME, LONGEST_TAG
from orchestrator.trackers.parent_run import PARENT
from orchestrator.trial import Trial
from orchestrator.trials.record import PROPOSALS, VERSION


def identity(trial: Trial, sweep: str, parent_id: str) -> dict[str, str]:
    """Those of a trial of a sweep."""
    proposal = {} if trial.proposal is None else {"proposal": PROPOSALS.dump_json(trial.proposal).decode()}
    return proposal | {
        "mlflow.runName": trial.label[:LONGEST_RUN_NAME],
        PARENT: parent_id,
        "sweep": sweep,
        "config": (trial.config or sweep)[:LONGEST_TAG],
        **({"seed": str(trial.params["seed"])} if "seed" in trial.params else {}),
        "trial_key": trial.trial_key,
        "config_key": trial.config_key,
        **trial_params.tags(trial.params),
        "trial": trial.function,
        **({VERSION: str(trial.version)} if trial.version != 1 else {}),
    }
