"""The same network in torch, as its users write it: eager, with the fused optimizers."""

INSTALL = "python -m pip install torch"


def load_torch(threads):
    """Import torch, on so many threads. Late: it takes seconds, and it need not be there."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise SystemExit(f"torch is not installed. Get it with: {INSTALL}") from error
    torch.set_num_threads(threads)
    return torch


class Torch:
    """ReLU layers with cross_entropy on integer labels, or mse; the methods of Baseline."""

    def __init__(self, weights, biases, loss, optimizer, lr, threads):
        """Start from float32 weights (n_in, n_out) and biases (n_out,), one pair a layer."""
        self.torch = load_torch(threads)
        nn = self.torch.nn
        layers = []
        for W, b in zip(weights, biases, strict=True):
            layers += [self.linear(W, b), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])
        self.loss = nn.CrossEntropyLoss() if loss == "cross_entropy" else nn.MSELoss()
        self.optimizer = self.fused(optimizer, lr)

    def linear(self, W, b):
        layer = self.torch.nn.Linear(*W.shape)
        with self.torch.no_grad():
            layer.weight.copy_(self.torch.tensor(W.T.copy()))
            layer.bias.copy_(self.torch.tensor(b))
        return layer

    def fused(self, optimizer, lr):
        parameters, optim = self.model.parameters(), self.torch.optim
        if optimizer == "adam":
            return optim.Adam(parameters, lr=lr, fused=True)
        return optim.SGD(parameters, lr=lr, momentum=0.9, fused=True)

    def convert(self, batch):
        """(X, y) as torch's own tensors; done once, outside of the clock."""
        return tuple(self.torch.from_numpy(array.copy()) for array in batch)

    def step(self, X, y):
        """One update on these rows; returns the loss before it, a tensor."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(X), y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def fit(self, X, y, epochs):
        """Full-batch updates; returns the loss of each."""
        return [self.step(X, y) for _ in range(epochs)]
