"""torch, as its users write it, with the fused optimizers: eager, and through torch.compile."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.baseline import MOMENTUM
from bench.peers.side import Side


class Eager(Side):
    choose_threads = True

    def enter(self):
        if self.threads and torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)

    def build(self, weights, biases):
        layers = []
        for W, b in zip(weights, biases, strict=True):
            layers += [linear(W, b), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])
        self.loss_of = F.cross_entropy if self.case.loss == "cross_entropy" else F.mse_loss
        self.update = self.fused()

    def fused(self):
        parameters = self.model.parameters()
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=self.lr, fused=True)
        return torch.optim.SGD(parameters, lr=self.lr, momentum=MOMENTUM, fused=True)

    def own(self, array):
        return torch.from_numpy(np.array(array))

    def loss(self, X, y):
        return self.loss_of(self.model(X), y)

    def step(self, X, y):
        self.update.zero_grad(set_to_none=True)
        loss = self.loss(X, y)
        loss.backward()
        self.update.step()
        return loss.detach()

    def epoch(self, X, y):
        total = 0.0
        for rows in torch.randperm(len(X)).split(self.case.batch):
            total += self.step(X[rows], y[rows]) * len(rows)
        return total / len(X)

    def outputs(self, X):
        z = self.model(X)
        return F.softmax(z, 1) if self.case.loss == "cross_entropy" else z

    def predict(self, X):
        with torch.inference_mode():
            return self.outputs(X)


class Compiled(Eager):
    """Needs a C++ compiler at its first step."""

    def build(self, weights, biases):
        from torch._dynamo import config as dynamo
        from torch._inductor import config as inductor

        inductor.compile_threads = 1  # else idle workers stay about
        dynamo.recompile_limit = 1000  # a long race compiles for every case
        super().build(weights, biases)
        self.loss = torch.compile(self.loss, fullgraph=True, dynamic=False)
        self.outputs = torch.compile(self.outputs, fullgraph=True, dynamic=False)


def linear(W, b):
    layer = nn.Linear(*W.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(W.T.copy()))
        layer.bias.copy_(torch.tensor(b))
    return layer
