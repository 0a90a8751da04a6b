"""Softmax regression on scikit-learn's digits: configured by Hydra, logged with W&B."""

import hydra
import numpy as np
import wandb
from omegaconf import DictConfig, OmegaConf
from sklearn.datasets import load_digits


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Train and log; the epoch is the step that wandb counts, from 0 on."""
    wandb.init(project="digits", config=OmegaConf.to_container(cfg, resolve=True))
    random = np.random.default_rng(cfg.seed)
    images, labels = load_digits(return_X_y=True)
    images, targets = images / 16, np.eye(10)[labels]
    weights, velocity = random.normal(0, 0.01, (64, 10)), 0.0
    for _ in range(cfg.epochs):
        for batch in random.permutation(1200).reshape(-1, 60):
            logits = images[batch] @ weights
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            gradient = images[batch].T @ (p - targets[batch]) / 60
            velocity = cfg.optimizer.momentum * velocity - cfg.optimizer.lr * gradient
            weights = weights + velocity
        accuracy = float((np.argmax(images[1200:] @ weights, 1) == labels[1200:]).mean())
        loss = float(-np.log(np.maximum(p[np.arange(60), labels[batch]], 1e-300)).mean())
        wandb.log({"loss": loss, "accuracy": accuracy})


if __name__ == "__main__":
    main()
