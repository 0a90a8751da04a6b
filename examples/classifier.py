"""A linear classifier of scikit-learn's handwritten digits: a trial function that declares nothing of itself."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import ConfusionMatrixDisplay, f1_score
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Config:
    """The settings of scikit-learn's SGDClassifier."""

    alpha: float = 1e-4
    penalty: str = "l2"
    epochs: int = 8
    seed: int = 0


def train(config: Config, workdir: Path) -> Generator[dict[str, float], None, dict[str, float]]:
    """Report the accuracy on images that were not learned, by epoch, and the F1 score at the end."""
    images, labels = load_digits(return_X_y=True)
    learned, others, of_learned, of_others = train_test_split(images / 16, labels, test_size=0.3, random_state=0)
    model = SGDClassifier(alpha=config.alpha, penalty=config.penalty, random_state=config.seed)
    for epoch in range(1, config.epochs + 1):
        model.partial_fit(learned, of_learned, classes=np.arange(10))
        yield {"epoch": epoch, "accuracy": model.score(others, of_others)}
    (workdir / "artifacts").mkdir(exist_ok=True)
    figure = Figure(figsize=(5, 5), layout="constrained")
    predicted = model.predict(others)
    ConfusionMatrixDisplay.from_predictions(of_others, predicted, ax=figure.subplots(), colorbar=False)
    figure.savefig(workdir / "artifacts" / "confusion.png")
    return {"accuracy": model.score(others, of_others), "f1": f1_score(of_others, predicted, average="macro")}
