"""What is read from MLflow and written to it. The only importers of mlflow."""

import os

# before the import: it would otherwise start a thread that reports usage over the network
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# MLflow's own retries make a run twice where a server answers late; ours look at what is there first
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

from orchestrator.trackers.follower import Follower
from orchestrator.trackers.recorder import Recorder
from orchestrator.trackers.retrying import opened, retry
from orchestrator.trackers.store import Store
from orchestrator.trackers.tracker import Tracker

__all__ = ["Follower", "Recorder", "Store", "Tracker", "opened", "retry"]
