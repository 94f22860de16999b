"""A little of everything that fastbp does, as a host program does it, and what came of it."""

import hashlib
from pathlib import Path

import numpy as np

import fastbp
from fastbp.schedules import Cosine, Warmup


def _data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 6)).astype("float32")
    return X, (X[:, 0] > 0).astype("int64"), 3 * X[:, :2] + 1


def _classifier(engine):
    net = fastbp.Network([6, 16, 16, 2], "tanh", "softmax", seed=0, layer_norm=True, residual=True)
    options = {"dropout": 0.2, "clip_norm": 1.0, "ema_decay": 0.9, "class_weight": "balanced"}
    options |= {"l2": 0.01, "label_smoothing": 0.1, "schedule": Warmup(3, Cosine(50))}
    return fastbp.Trainer(
        net, loss="cross_entropy", optimizer=fastbp.AdamW(0.01), seed=1, engine=engine, **options
    )


def _train(engine, folder):
    X, labels, _ = _data()
    trainer, path = _classifier(engine), folder / "run.safetensors"
    callbacks = [
        *(fastbp.ModelCheckpoint(path, every_updates=2, keep=2), fastbp.TimeLimit(1e6)),
        *(fastbp.EarlyStopping(patience=2), fastbp.ReduceLROnPlateau(patience=0)),
        fastbp.CSVLogger(folder / "run.csv"),
    ]
    metrics = {"share": lambda y, p: np.mean(p.argmax(axis=1) == y)}
    history = trainer.fit(
        *(X, labels, 5), validation_fraction=0.2, metrics=metrics, callbacks=callbacks
    )
    history.to_csv(folder / "history.csv")
    history.to_jsonl(folder / "history.jsonl")
    again = fastbp.Trainer.load(path)
    yield from (again.history["loss"], again.predict(X), trainer.predict(X, averaged=True))
    yield [history[key] for key in history if key != "samples_per_second"]
    yield list(trainer.evaluate(X, labels, metrics=metrics).values())
    yield trainer.loss_and_gradients(X, labels)[0]


def _regress(engine, folder):
    X, _, y = _data()
    net = fastbp.Network([6, 8, 2], "gelu", seed=0)
    net.standardize(X, y)
    trainer = fastbp.Trainer(
        net, loss="huber", optimizer=fastbp.SGD(0.05, momentum=0.9), batch_size=30, seed=2,
        engine=engine,
    )  # fmt: skip
    yield trainer.find_lr(X, y, start_lr=1e-3, end_lr=0.1, updates=5).losses
    yield trainer.fit_batches([(X[:30], y[:30]), (X[30:50], y[30:50])], 2)["loss"]
    yield [trainer.step(X[:9], y[:9]), trainer.step(X[:9].tolist(), y[:9].tolist())]
    net.save(folder / "model.safetensors")
    yield fastbp.load(folder / "model.safetensors").weights[0]
    yield trainer.predict(X)
    repr(trainer), repr(net)


def _refuse(engine):
    """Messages for bad input, which name numbers."""
    X, labels, _ = _data()
    trainer, bad = _classifier(engine), X.copy()
    bad[3, 2] = np.inf
    for call in (
        lambda: trainer.fit(bad, labels),
        lambda: trainer.evaluate(X, labels + 1),
        lambda: trainer.fit(np.full_like(X, 3e38), labels),
        lambda: trainer.predict(bad),
        lambda: setattr(trainer, "lr", float("nan")),
    ):
        try:
            call()
        except (ValueError, FloatingPointError) as error:
            yield str(error)


def digest(engine, folder):
    """A hash of all of it, and the files that are left."""
    folder = Path(folder)
    content = hashlib.sha256()
    for part in (*_train(engine, folder), *_regress(engine, folder), *_refuse(engine)):
        values = part if isinstance(part, str) else repr(np.array(part, "float64").tolist())
        content.update(values.encode())
    for name in ("run.csv", "history.csv"):
        rows = (folder / name).read_text(encoding="ascii").splitlines()
        places = [i for i, key in enumerate(rows[0].split(",")) if key != "samples_per_second"]
        content.update(repr([[row.split(",")[i] for i in places] for row in rows]).encode())
    return content.hexdigest()
