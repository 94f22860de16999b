"""The recipe of bench/recipe.py as torch's users write it: eager, the optimizer fused."""

import copy
import time

import torch
from torch import nn
from torch.nn import functional as F

from bench import environment, recipe
from bench.peers.torch import linear

TRIAL_BATCHES = 50


class TorchSide:
    """torch's recipe, on one thread or all, whichever is faster in a trial."""

    name = "torch"
    threads = 0
    """Number of threads of every side; 0 before the first side has tried."""

    def __init__(self, seed, rows):
        network = recipe.OurSide(seed, rows).network
        torch.manual_seed(seed)
        parts = []
        for W, b, rate in zip(network.weights, network.biases, (*recipe.DROPOUT, 0), strict=True):
            parts += [linear(W, b), nn.ReLU(), nn.Dropout(rate)]
        self.model = nn.Sequential(*parts[:-2])
        self.updates = recipe.updates_of(rows)
        self.make_rule()
        if not TorchSide.threads:
            TorchSide.threads = self.faster()

    def make_rule(self):
        parameters = self.model.parameters()
        self.rule = torch.optim.AdamW(
            parameters, lr=recipe.LR, weight_decay=recipe.WEIGHT_DECAY, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.rule, max_lr=recipe.LR, total_steps=self.updates
        )

    def faster(self):
        """The number of threads with which a copy of this side makes some updates faster."""
        n = TRIAL_BATCHES * recipe.BATCH
        pair = torch.rand(n, recipe.SIZES[0]), torch.randint(recipe.SIZES[-1], (n,))
        taken = {}
        for count in sorted({1, environment.available_cpus()}):
            torch.set_num_threads(count)
            trial = copy.copy(self)
            trial.model = copy.deepcopy(self.model)
            trial.make_rule()
            trial.epoch(*(part[: recipe.BATCH] for part in pair))  # the first is slower
            start = time.perf_counter()
            trial.epoch(*pair)
            taken[count] = time.perf_counter() - start
        return min(taken, key=taken.get)

    def own(self, pair):
        return tuple(map(torch.from_numpy, pair))

    def enter(self):
        torch.set_num_threads(TorchSide.threads)

    def epoch(self, X, y):
        self.model.train()
        for rows in torch.randperm(len(X)).split(recipe.BATCH):
            self.rule.zero_grad(set_to_none=True)
            z = self.model(X[rows])
            loss = F.cross_entropy(z, y[rows], label_smoothing=recipe.LABEL_SMOOTHING)
            loss.backward()
            self.rule.step()
            self.schedule.step()

    def fit(self, train, held_out):
        """[(seconds since the start, validation accuracy)] after each epoch."""
        start, marks, best = time.perf_counter(), [], -1
        for epoch in range(recipe.EPOCHS):
            self.epoch(*train)
            accuracy = self.accuracy(*held_out)
            if best < 0 or accuracy > marks[best][1]:
                best, weights = epoch, copy.deepcopy(self.model.state_dict())
            marks.append((time.perf_counter() - start, accuracy))
            if epoch - best >= recipe.PATIENCE:
                break
        self.model.load_state_dict(weights)
        return marks

    def accuracy(self, X, y):
        self.model.eval()
        with torch.inference_mode():
            return (self.model(X).argmax(1) == y).float().mean().item()
