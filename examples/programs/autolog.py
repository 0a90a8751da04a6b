"""A forest on scikit-learn's digits; `mlflow.autolog` logs what it is and how well it does."""

import argparse

import mlflow
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--n_estimators", type=int, default=10)
parser.add_argument("--max_depth", type=int, default=4)
args = parser.parse_args()

mlflow.autolog(log_models=False, silent=True)
images, labels = load_digits(return_X_y=True)
learned, others, targets, truth = train_test_split(images, labels, random_state=0)
with mlflow.start_run():
    forest = RandomForestClassifier(args.n_estimators, max_depth=args.max_depth, random_state=0)
    forest.fit(learned, targets)
    mlflow.log_metric("test_accuracy", forest.score(others, truth))
