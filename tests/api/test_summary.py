"""The table that ``Network.summary`` prints."""

import numpy as np

import fastbp


def test_every_layer_has_a_line(capsys):
    net = fastbp.Network(
        [784, 512, 512, 10], ["relu", "tanh"], "softmax", layer_norm=True, residual=True
    )
    assert net.summary() is None
    assert capsys.readouterr().out == (
        "layer  activation  shape       parameters  layer norm  residual\n"
        "1      relu        784 -> 512     402,944  yes         no\n"
        "2      tanh        512 -> 512     263,680  yes         yes\n"
        "3      softmax     512 -> 10        5,130  no          no\n"
        "671,754 parameters, 2,687,016 bytes of float32; standardized: no\n"
    )


def test_the_lines_add_up(capsys):
    for options in ({}, {"layer_norm": True}, {"dtype": "float64"}):
        net = fastbp.Network([3, 5, 5, 2], **options)
        net.summary()
        _, *layers, total = capsys.readouterr().out.splitlines()
        assert sum(int(line.split()[5]) for line in layers) == net.n_parameters
        assert total.startswith(f"{net.n_parameters} parameters, ")
        count = sum(map(np.size, (*net.weights, *net.biases, *net.gains, *net.shifts)))
        assert f" {count * net.dtype.itemsize:,} bytes of {net.dtype}" in total


def test_it_says_what_is_standardized(capsys):
    net = fastbp.Network([2, 1])
    for X, y, expected in (
        ([[1.0, 2.0], [3.0, 5.0]], None, "inputs"),
        ([[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0], "inputs, targets"),
    ):
        net.standardize(X, y)
        net.summary()
        assert capsys.readouterr().out.endswith(f"; standardized: {expected}\n")
    net.set_scaling(target_scale=2)
    net.summary()
    assert capsys.readouterr().out.endswith("; standardized: targets\n")
