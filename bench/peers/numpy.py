"""The plain NumPy baseline, and the number of threads of NumPy's BLAS."""

import os
from importlib.util import find_spec

from bench.baseline import Baseline
from bench.environment import BLAS_THREADS
from bench.peers.side import Side


class OnBlas(Side):
    """Without threadpoolctl, the environment alone sets the number of threads."""

    choose_threads = find_spec("threadpoolctl") is not None
    in_use = int(os.environ.get(BLAS_THREADS[0], "0"))
    """Threads of every BLAS of this process."""

    def enter(self):
        if self.choose_threads and self.threads != OnBlas.in_use:
            from threadpoolctl import threadpool_limits  # a first step should not pay for it

            threadpool_limits(self.threads, user_api="blas")
            OnBlas.in_use = self.threads


class NumPy(OnBlas):
    def build(self, weights, biases):
        case = self.case
        model = Baseline(weights, biases, case.loss, self.optimizer, self.lr, case.batch)
        self.step, self.fit, self.predict = model.step, model.fit, model.predict
