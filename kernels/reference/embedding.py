"""Learned embeddings of numbers: PBLD of RealMLP (Holzmueller et al., 2024).

k columns of X have w and b (k, H), V (k, H, E) and c (k, E): frequencies, phases, weights, biases.
"""

import numpy as np

from .network import row_blocks


def embed_numbers(X, columns, w, b, V, c):
    """X (B, I), and behind it V cos(2 pi w x + b) + c of each of the columns: (B, I + k E)."""
    embedded = np.einsum("rkh,khe->rke", np.cos(_angles(X, columns, w, b)), V) + c
    return np.concatenate([X, embedded.reshape(len(X), -1)], axis=1)


def embedding_gradients(X, columns, w, b, V, c, error):
    """(dw, db, dV, dc), from the error (B, I + k E) of what ``embed_numbers`` returns."""
    error = _of_embeddings(X, c, error)
    angles = _angles(X, columns, w, b)
    dangles = -np.sin(angles) * np.einsum("rke,khe->rkh", error, V)
    dw = 2 * np.pi * dangles * X[:, columns, None]
    cosines = np.cos(angles)
    return (
        sum(dw[rows].sum(axis=0) for rows in row_blocks(X)),
        sum(dangles[rows].sum(axis=0) for rows in row_blocks(X)),
        sum(np.einsum("rkh,rke->khe", cosines[rows], error[rows]) for rows in row_blocks(X)),
        sum(error[rows].sum(axis=0) for rows in row_blocks(X)),
    )


def error_through_numbers(X, columns, w, b, V, c, error):
    """dLoss/dX (B, I), from the error (B, I + k E) of what ``embed_numbers`` returns."""
    of_X, error = error[:, : X.shape[1]].copy(), _of_embeddings(X, c, error)
    dangles = -np.sin(_angles(X, columns, w, b)) * np.einsum("rke,khe->rkh", error, V)
    of_X[:, columns] += 2 * np.pi * (dangles * w).sum(axis=2)
    return of_X


def _angles(X, columns, w, b):
    return 2 * np.pi * X[:, columns, None] * w + b


def _of_embeddings(X, c, error):
    return error[:, X.shape[1] :].reshape(len(X), *c.shape)
