"""Model selection of scikit-learn's over fastbp's estimators: the same scores for any n_jobs."""

import json

import pytest

from support import processes

pytest.importorskip("sklearn")

SECONDS = 300
"""More than all of it takes on a slow machine: a deadlock ends here."""

PROGRAM = """
import json, sys, warnings
import joblib, numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from fastbp.sklearn import MLPClassifier

warnings.simplefilter("ignore")  # that fits have not converged
X, y = load_digits(return_X_y=True)
X, y = X[:300].astype("float32") / 16, y[:300]

def model(**options):
    return MLPClassifier((64,), max_iter=3, batch_size=100, random_state=0, **options)

def scores(jobs):
    found = {"cross": cross_val_score(model(), X, y, cv=3, n_jobs=jobs)}
    grid = {"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(16,), (300,)]}
    search = GridSearchCV(model(), grid, cv=2, n_jobs=jobs).fit(X, y)
    found["grid"] = search.cv_results_["mean_test_score"]
    found["best"] = search.best_estimator_.predict_proba(X[:50]).astype(float)
    members = [("a", model()), ("b", model(alpha=0.1))]
    voting = VotingClassifier(members, voting="soft", n_jobs=jobs).fit(X, y)
    found["voting"] = voting.predict_proba(X[:50]).astype(float)
    bagging = BaggingClassifier(model(), n_estimators=4, n_jobs=jobs, random_state=0).fit(X, y)
    found["bagging"] = bagging.predict_proba(X[:50]).astype(float)
    return {name: np.asarray(values).tolist() for name, values in found.items()}

with joblib.parallel_config(backend=sys.argv[1]):
    print(json.dumps([scores(jobs) for jobs in (1, 2, -1)]))
"""


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_scores_do_not_depend_on_the_number_of_jobs(backend, tmp_path):
    path = tmp_path / "selection.py"  # loky's processes find what it defines
    path.write_text(PROGRAM, encoding="utf-8")
    process = processes.start(
        f"import runpy, sys; sys.argv = ['', '{backend}']; "
        f"runpy.run_path({str(path)!r}, run_name='__main__')",
        OMP_WAIT_POLICY=None,
    )
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    one, *others = json.loads(out.splitlines()[-1])
    for other in others:
        assert other == one
