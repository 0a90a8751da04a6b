"""What is read from MLflow and written to it. The only importers of mlflow."""

import os

# before the import: it would otherwise start a thread that reports usage over the network
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import environment_variables as unset

from orchestrator.trackers import resending
from orchestrator.trackers.deleted import trash_in_words
from orchestrator.trackers.follower import Follower
from orchestrator.trackers.recorder import Recorder
from orchestrator.trackers.retrying import opened, retry
from orchestrator.trackers.store import Store
from orchestrator.trackers.sweep_run import has_finished, refusal
from orchestrator.trackers.tracker import Tracker

__all__ = ["Follower", "Recorder", "Store", "Tracker", "has_finished", "opened", "refusal", "retry", "trash_in_words"]

# as defaults of this process: programs and workers, which inherit the environment, have MLflow's own
unset.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.default = True
unset.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.default = False
unset.MLFLOW_HTTP_REQUEST_MAX_RETRIES.default = 0  # of MLflow's own
unset.MLFLOW_HTTP_REQUEST_TIMEOUT.default = 30
resending.install()
