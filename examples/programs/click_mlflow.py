"""A multilayer perceptron on scikit-learn's digits, by the epoch: options by click, metrics by MLflow."""

import warnings

import click
import mlflow
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

warnings.filterwarnings("ignore")


@click.command()
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--hidden", default=32, show_default=True)
@click.option("--epochs", default=6, show_default=True)
@click.option("--nesterov/--no-nesterov", default=True)
@click.option("--seed", default=0, show_default=True)
def main(learning_rate, hidden, epochs, nesterov, seed):
    """Train and log."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    net = MLPClassifier(
        (hidden,),
        solver="sgd",
        learning_rate_init=learning_rate,
        nesterovs_momentum=nesterov,
        batch_size=50,
        random_state=seed,
    )
    mlflow.set_experiment("digits")
    with mlflow.start_run():
        mlflow.log_params({"hidden": hidden, "solver": "sgd"})
        for epoch in range(1, epochs + 1):
            net.partial_fit(images[:1200], labels[:1200], classes=range(10))
            mlflow.log_metric("train_loss", net.loss_, step=epoch)
            probabilities = np.nan_to_num(net.predict_proba(images[1200:]))
            mlflow.log_metric("val_loss", log_loss(labels[1200:], probabilities), step=epoch)
            mlflow.log_metric("val_accuracy", net.score(images[1200:], labels[1200:]), step=epoch)


if __name__ == "__main__":
    main()
