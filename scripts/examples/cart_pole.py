"""A dynamics model of a cart-pole that learns while it controls, inside one ``@njit`` loop.

Every tick the controller predicts what each of three forces would do, takes the best, and learns
from what happened: three calls of `predict`, one row each, and one of `step`. At half time the
motor is wired the other way round, and the model must learn that, too. The same loop runs in NumPy,
and with --torch in torch.

The plant is that of Barto, Sutton and Anderson (1983), with Euler steps of 20 ms.
"""

import argparse
import math
from time import perf_counter

import numpy as np
from numba import njit

import fastbp
from fastbp import embed

FORCES = np.array([-10.0, 0.0, 10.0], np.float32)
SIZES = [5, 32, 32, 4]
LR = 1e-3
SCALE = np.array([1.0, 2.0, 0.2, 2.0], np.float32)
"""Scale of the state (x, x', angle, angle'): the network sees states and changes divided by it."""

CHANGE = np.float32(10.0)
"""The network's outputs are changes of the scaled state times this."""


def change(s, force):
    """Return by how much a state changes in a tick."""
    sin, cos = math.sin(s[2]), math.cos(s[2])
    push = (force + 0.05 * s[3] * s[3] * sin) / 1.1
    turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1))
    return 0.02 * s[1], 0.02 * (push - 0.05 * turn * cos / 1.1), 0.02 * s[3], 0.02 * turn


def cost(s, p):
    """Return the cost of the state that the model expects two ticks after s."""
    x, angle = s[0] + p[0] / CHANGE, s[2] + p[2] / CHANGE
    speed, spin = s[1] + p[1] / CHANGE, s[3] + p[3] / CHANGE
    # One number: a cart right of the center must first lean to the left.
    return abs(0.2 * angle + 0.5 * spin + 0.04 * x + 0.16 * speed)


_change, _cost = njit(change), njit(cost)


@njit
def control(model, ticks, rng, learns=True):
    """Run the loop; return (falls in each tenth of it, mean loss of the last tenth)."""
    falls, late, tenth = np.zeros(10, np.int64), 0.0, ticks // 10
    s, row, y = np.zeros(4, np.float32), np.zeros(5, np.float32), np.zeros(4, np.float32)
    p = np.zeros(4, np.float32)
    s[2] = 0.05
    for tick in range(10 * tenth):
        row[:4] = s / SCALE
        best, least = 0, np.inf
        for i in range(3):
            row[4] = FORCES[i] / 10
            embed.predict(model, row, p)
            expected = _cost(row, p)
            if expected < least:
                best, least = i, expected
        if rng.random() < 0.05:
            best = rng.integers(0, 3)
        row[4] = FORCES[best] / 10
        d = _change(s, FORCES[best] if tick < 5 * tenth else -FORCES[best])
        for j in range(4):
            y[j] = CHANGE * d[j] / SCALE[j]
            s[j] += d[j]
        if learns:
            loss = embed.step(model, row, y)
            late += loss if tick >= 9 * tenth else 0.0
        if abs(s[2]) > 0.6 or abs(s[0]) > 4.8:
            falls[tick // tenth] += 1
            for j in range(4):
                s[j] = 0.1 * (rng.random() - 0.5)
    return falls, late / tenth


def new_trainer(seed=0):
    """Return the trainer of a new dynamics model."""
    net = fastbp.Network(SIZES, activation="tanh", seed=seed)
    return fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(lr=LR), batch_size=1, seed=seed)


class NumpyModel:
    """The same model in plain NumPy."""

    def __init__(self, net):
        self.parameters = [np.array(part) for part in (*net.weights, *net.biases)]
        self.m, self.v = ([np.zeros_like(part) for part in self.parameters] for _ in range(2))
        self.updates = 0

    def _forward(self, row):
        outs = [row[None]]
        for layer in range(3):
            z = outs[-1] @ self.parameters[layer] + self.parameters[3 + layer]
            outs.append(np.tanh(z) if layer < 2 else z)
        return outs

    def predict(self, row):
        return self._forward(row)[-1][0]

    def step(self, row, y):
        outs = self._forward(row)
        delta, gradients = 2 * (outs[3] - y) / y.size, [None] * 6
        for layer in (2, 1, 0):
            gradients[layer], gradients[3 + layer] = outs[layer].T @ delta, delta[0]
            delta = (delta @ self.parameters[layer].T) * (1 - outs[layer] ** 2)
        self.updates += 1
        rate = LR * math.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        for i, g in enumerate(gradients):
            self.m[i] += 0.1 * (g - self.m[i])
            self.v[i] += 0.001 * (g * g - self.v[i])
            self.parameters[i] -= rate * self.m[i] / (np.sqrt(self.v[i]) + 1e-8)
        return float(((outs[3] - y) ** 2).mean())


class TorchModel:
    """The same model in torch."""

    def __init__(self, net):
        import torch

        layers = []
        for W, b in zip(net.weights, net.biases, strict=True):
            layer = torch.nn.Linear(*W.shape)
            with torch.no_grad():
                layer.weight.copy_(torch.tensor(W.T))
                layer.bias.copy_(torch.tensor(b))
            layers += [layer, torch.nn.Tanh()]
        self.torch, self.net = torch, torch.nn.Sequential(*layers[:-1])
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=LR, fused=True)

    def predict(self, row):
        with self.torch.no_grad():
            return self.net(self.torch.from_numpy(row)).numpy()

    def step(self, row, y):
        p = self.net(self.torch.from_numpy(row))
        loss = self.torch.nn.functional.mse_loss(p, self.torch.from_numpy(y))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def control_from_python(model, ticks, rng):
    """Run the loop of ``control`` with another model; return how often the pole fell."""
    falls = 0
    s, row = np.array([0, 0, 0.05, 0], np.float32), np.zeros(5, np.float32)
    for tick in range(ticks):
        row[:4] = s / SCALE
        costs = []
        for force in FORCES:
            row[4] = force / 10
            costs.append(cost(row, model.predict(row)))
        best = int(rng.integers(3)) if rng.random() < 0.05 else int(np.argmin(costs))
        row[4] = FORCES[best] / 10
        force = FORCES[best] if tick < ticks // 2 else -FORCES[best]
        d = np.array(change(s, force), np.float32)
        s = s + d
        model.step(row, CHANGE * d / SCALE)
        if abs(s[2]) > 0.6 or abs(s[0]) > 4.8:
            falls += 1
            s = (0.1 * (rng.random(4) - 0.5)).astype(np.float32)
    return falls


def ticks_per_second(loop, model, ticks):
    """Return the ticks a second of a loop."""
    start = perf_counter()
    loop(model, ticks, np.random.default_rng(0))
    return ticks / (perf_counter() - start)


def draw(falls, path):
    """Draw the falls in each tenth of the loop; falls: by whether the model learns."""
    import pictures

    ax = pictures.axes("The motor is wired the other way round at half time", "tenth", "falls")
    tenths = np.arange(1, 11)
    for learns, found in falls.items():
        label = "the model learns" if learns else "the model never learns"
        place = tenths + (0.2 if learns else -0.2)
        ax.bar(place, found, 0.4, color=pictures.COLORS[int(learns)], label=label)
    pictures.keep(ax, path)


def main():
    parser = argparse.ArgumentParser(description="A dynamics model that learns in a control loop.")
    parser.add_argument("--picture", metavar="PATH", help="draw it, too, as a PNG file")
    parser.add_argument("--torch", action="store_true", help="run the loop in torch, too")
    options = parser.parse_args()
    falls = {}
    for learns in (False, True):
        rng = np.random.default_rng(0)
        falls[learns], loss = control(new_trainer().compiled(), 20_000, rng, learns)
        print(f"learning: {learns}; falls in each tenth of 20000 ticks: {falls[learns].tolist()}")
    if options.picture:
        draw(falls, options.picture)
    print(f"mean loss of the last tenth: {loss:.1e}")
    net = new_trainer().net
    sides = {
        "fastbp": (control, new_trainer().compiled(), 50_000),
        "NumPy": (control_from_python, NumpyModel(net), 500),
    }
    if options.torch:
        sides["torch"] = control_from_python, TorchModel(net), 500
    rates = {name: [] for name in sides}
    for _ in range(9):
        for name, side in sides.items():
            rates[name].append(ticks_per_second(*side))
    for name, found in rates.items():
        print(f"{name:7} {np.median(found):10,.0f} ticks/s")


if __name__ == "__main__":
    main()
