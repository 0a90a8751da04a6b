"""Two processes train a classifier of scikit-learn's digits together, over gloo; each one prints and logs its loss."""

import argparse

import torch
import torch.distributed as dist
import wandb
from sklearn.datasets import load_digits
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=5)
args = parser.parse_args()

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
images, labels = torch.tensor(images[rank::world] / 16, dtype=torch.float32), torch.tensor(labels[rank::world])
net = DistributedDataParallel(torch.nn.Linear(64, 10))
optimizer = torch.optim.SGD(net.parameters(), args.lr)
wandb.init(project="digits", config=vars(args))
for epoch in range(args.epochs):
    for part in torch.randperm(len(images))[:800].split(32):
        loss = torch.nn.functional.cross_entropy(net(images[part]), labels[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wandb.log({"loss": loss.item(), "rank": rank, "world": world}, step=epoch)
wandb.finish()
dist.destroy_process_group()
