"""fastbp itself."""

import fastbp
from bench.baseline import MOMENTUM
from bench.peers.side import Side


class FastBP(Side):
    def build(self, weights, biases):
        sizes, output = list(self.case.sizes), self.case.output
        self.network = fastbp.Network(sizes, activation="relu", output=output, seed=0)
        self.network.set_parameters(weights, biases)
        self.trainer = self.trainer_for(self.case.batch)
        self.step = self.trainer.step
        self.predict = self.trainer.predict

    def trainer_for(self, batch):
        adam = self.optimizer == "adam"
        rule = fastbp.Adam(lr=self.lr) if adam else fastbp.SGD(lr=self.lr, momentum=MOMENTUM)
        threads = self.threads or "auto"
        return fastbp.Trainer(
            self.network, loss=self.case.loss, optimizer=rule, batch_size=batch, threads=threads
        )

    def fit(self, X, y, epochs):
        return self.trainer.fit(X, y, epochs, shuffle=False, progress=False)["loss"]

    def epoch(self, X, y):
        return self.trainer.fit(X, y, 1, shuffle=True, progress=False)["loss"][0]

    def stream(self, X, y):
        self.fit(X, y, 1)
