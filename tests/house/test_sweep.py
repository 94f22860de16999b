"""The sweep's grid, its file, and what it tells."""

from dataclasses import replace

from bench import sweep
from bench.sweep import ONE_THREAD, Point


def point(width=64, depth=2, batch=8, one=2.0, **peers):
    return Point(width, depth, batch, {"fastbp": 1.0, ONE_THREAD: one, **peers}, 3)


def test_grid_is_every_size_once_but_the_longest_steps():
    sizes = sweep.grid()
    assert len(set(sizes)) == len(sizes)
    assert (4, 1, 1) in sizes
    assert (4096, 1, 1000) in sizes
    assert (4096, 8, 4096) not in sizes
    assert all(sweep.case_of(*size).flops <= sweep.MOST_FLOPS for size in sizes)
    assert sizes == sweep.grid()


def test_case_of_a_point_has_as_many_layers():
    assert sweep.case_of(7, 3, 5).layers == [(7, 7)] * 3


def test_points_come_back_from_their_file(tmp_path):
    points = [point(numpy=2.0), point(batch=1, numpy=0.5, jax=0.25)]
    sweep.save(points, tmp_path / "s.json")
    assert sweep.load(tmp_path / "s.json") == points
    assert sweep.load(tmp_path / "none.json") == []


def test_ratio_is_to_the_best_peer_and_not_to_our_single_thread():
    found = point(one=0.1, numpy=3.0, torch=2.0)
    assert (found.ratio, found.best_peer, found.gain) == (2.0, "torch", 0.1)


def test_slower_points_are_told_the_worst_first():
    points = [point(numpy=0.9), point(numpy=1.1, jax=3.0), point(width=7, numpy=2.0, jax=0.5)]
    assert sweep.slower(points) == [
        "width 7, 2 layers, batch 8: 0.50x of jax",
        "width 64, 2 layers, batch 8: 0.90x of numpy",
    ]
    first = sweep.report_lines(points)[0]
    assert "a peer is faster at 2 of 3 sizes; the worst are width 7" in first


def test_threads_that_hurt_are_told_beyond_noise():
    points = [point(one=0.99, numpy=2.0), point(one=0.8, numpy=2.0), point(one=1.9, numpy=2.0)]
    assert sweep.hurt_by_threads(points) == ["width 64, 2 layers, batch 8: 0.80x"]
    assert len(sweep.report_lines(points)) == 2
    assert sweep.report_lines(points[:1]) == ["- sweep: a peer is faster at 0 of 1 sizes"]


def test_nothing_measured_is_nothing_told():
    assert sweep.report_lines([]) == []


def test_points_of_other_kernels_are_left_out():
    old, new = point(numpy=2.0), replace(point(numpy=3.0), kernels="new")
    assert sweep.of_kernels([old, new], "new") == [new]
