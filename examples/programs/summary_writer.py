"""A perceptron on scikit-learn's digits that writes for TensorBoard: batches by their count, epochs by theirs."""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits
from tensorboardX import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--pause", type=float, default=0.05)
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
images, targets = images / 16, np.eye(10)[labels]
random = np.random.default_rng(0)
w1, w2 = random.normal(0, 0.2, (64, 32)), random.normal(0, 0.2, (32, 10))
writer = SummaryWriter(flush_secs=1)
step = 0
for epoch in range(args.epochs):
    losses = []
    for batch in random.permutation(1200).reshape(-1, 60):
        hidden = np.maximum(images[batch] @ w1, 0)
        errors = hidden @ w2 - targets[batch]
        losses.append(float((errors**2).mean()))
        writer.add_scalar("Loss/batch", losses[-1], step)
        step += 1
        to_hidden = (errors @ w2.T) * (hidden > 0)
        w2 -= args.lr * hidden.T @ errors / 60
        w1 -= args.lr * images[batch].T @ to_hidden / 60
    guesses = np.argmax(np.maximum(images[1200:] @ w1, 0) @ w2, 1)
    writer.add_scalar("Loss/train", np.mean(losses), epoch)
    writer.add_scalar("Accuracy/val", (guesses == labels[1200:]).mean(), epoch)
    time.sleep(args.pause)
writer.close()
