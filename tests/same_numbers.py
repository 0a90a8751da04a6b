"""Real trainings of the VAE, whose numbers are to be the same wherever they run."""

from mlflow import MlflowClient
from reading import children

Curves = dict[str, list[tuple[int, float]]]  # steps and values, by metric

DIGITS = """
name: toy
resources: {cpus: 1}
parameters: {dataset: digits, batch_size: 16, epochs: 3, latent_dim: 8}
configs:
  - {architecture: fc, num_layers: 2, var: 0.5, lr: 2e-3}
  - {architecture: conv, num_layers: 2, var: 0.1, lr: 2e-3}
  - {architecture: conv, num_layers: 2, var: 0.05, lr: 4e-2}
seeds: [0, 1]
"""
OF_THE_CLOCK = ("images_per_second", "wall_seconds", "system/")


def numbers(store: str) -> dict[str, Curves]:
    """All that the trials of a sweep named toy have measured, but for times, by trial."""
    client = MlflowClient(tracking_uri=store)
    return {
        str(run.info.run_name): {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in sorted(run.data.metrics)
            if not name.startswith(OF_THE_CLOCK)
        }
        for run in children(store, "toy")
    }
