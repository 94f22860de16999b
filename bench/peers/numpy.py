"""The plain NumPy baseline."""

from bench.baseline import Baseline
from bench.peers.side import Side


class NumPy(Side):
    def build(self, weights, biases):
        case = self.case
        model = Baseline(weights, biases, case.loss, self.optimizer, self.lr, case.batch)
        self.step, self.fit, self.predict = model.step, model.fit, model.predict
