"""What is read from MLflow and written to it. The only importers of mlflow."""

from orchestrator.trackers.follower import Follower
from orchestrator.trackers.recorder import Recorder, retry
from orchestrator.trackers.store import Store
from orchestrator.trackers.tracker import Tracker

__all__ = ["Follower", "Recorder", "Store", "Tracker", "retry"]
