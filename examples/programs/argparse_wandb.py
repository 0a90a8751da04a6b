"""Softmax regression on Fisher's iris, in plain Python; what it learns goes to W&B."""

import argparse
import csv
import math
import random
import time

import wandb


def softmax(logits):
    """Probabilities of the classes."""
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]
    return [power / sum(powers) for power in powers]


def load(path="iris.csv"):
    """Measures around 0, and classes."""
    with open(path) as file:
        rows = [[float(cell) for cell in row.values()] for row in csv.DictReader(file)]
    return [([x - 3.5 for x in row[:-1]] + [1.0], int(row[-1])) for row in rows]


def logits_of(weights, features):
    """One value a class."""
    return [sum(w * x for w, x in zip(row, features)) for row in weights]


def main():
    """Train and log."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds after each epoch")
    args = parser.parse_args()

    run = wandb.init(project="iris", config=vars(args))
    random.seed(args.seed)
    rows = load()
    random.shuffle(rows)
    learned, others = rows[:100], rows[100:]
    weights = [[random.gauss(0, 0.1) for _ in range(5)] for _ in range(3)]

    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for features, label in learned:
            probabilities = softmax(logits_of(weights, features))
            total -= math.log(probabilities[label] or 5e-324)
            for k in range(3):
                error = probabilities[k] - (k == label)
                for j in range(5):
                    weights[k][j] -= args.lr * (error * features[j] + args.weight_decay * weights[k][j])
        hits = 0
        for features, label in others:
            logits = logits_of(weights, features)
            hits += logits.index(max(logits)) == label
        print(f"epoch {epoch} of {args.epochs}")
        wandb.log({"epoch": epoch, "train/loss": total / len(learned), "val/accuracy": hits / len(others)})
        time.sleep(args.pause)

    run.summary["best"] = hits / len(others)
    wandb.finish()


if __name__ == "__main__":
    main()
