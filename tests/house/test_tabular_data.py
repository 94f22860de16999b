"""scripts/tabular_data.py: from the text of a file to inputs and targets."""

import numpy as np
import pytest
import tabular_data

DIAMONDS = """"carat","cut","color","clarity","depth","table","price","x","y","z"
0.23,"Ideal","E","SI2",61.5,55,326,3.95,3.98,2.43
0.21,"Premium","E","SI1",59.8,61,1000,3.89,3.84,2.31
"""

HEAD = "year,month,day,dep_time,sched_dep_time,dep_delay,sched_arr_time,arr_delay,carrier,origin"
FLIGHTS = f"""{HEAD},dest,distance
2013,1,1,517,515,2,819,16,UA,EWR,IAH,1400
2013,1,2,533,2359,4,30,15,UA,LGA,IAH,1416
2013,2,3,NA,540,NA,850,NA,AA,JFK,MIA,1089
2013,12,31,1800,1800,0,1905,-4,AA,JFK,BOS,187
"""


def test_diamonds():
    table = tabular_data.diamonds_of(DIAMONDS)
    np.testing.assert_array_equal(table.numbers[0], [0.23, 61.5, 55, 3.95, 3.98, 2.43])
    assert [column[1] for column in table.categories] == ["Premium", "E", "SI1"]
    np.testing.assert_allclose(table.y, np.log([326, 1000]))


def test_flights_without_those_that_did_not_arrive():
    table = tabular_data.flights_of(FLIGHTS)
    np.testing.assert_array_equal(
        table.numbers,
        # delay, distance, minute of departure, minutes to arrival by the clocks
        [[2, 1400, 315, 184], [4, 1416, 1439, 31], [0, 187, 1080, 65]],
    )
    weekday, month, *_, dest = table.categories
    assert weekday.tolist() == [1, 2, 1]  # two Tuesdays and a Wednesday
    assert month.tolist() == ["1", "1", "12"]
    assert dest.tolist() == ["IAH", "IAH", "BOS"]


def test_late_is_more_than_a_quarter_of_an_hour():
    assert tabular_data.flights_of(FLIGHTS).y.tolist() == [1, 0, 0]


def test_one_hot_in_sorted_order():
    hot = tabular_data.one_hot(np.array(["b", "a", "c", "a"]))
    np.testing.assert_array_equal(hot, [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]])


@pytest.fixture
def table():
    """The number of a row is its target, and its category whether it is even."""
    y = np.arange(1000.0)
    numbers = np.column_stack([5 + 3 * y, y**2])
    return tabular_data.Table("numbered", numbers, (y % 2,), y)


def test_parts_take_every_row_once(table):
    parts = tabular_data.parts(table)
    assert len(parts.X) == len(parts.y) == 800
    assert len(parts.X_test) == len(parts.y_test) == 200
    np.testing.assert_array_equal(np.sort(np.concatenate([parts.y, parts.y_test])), table.y)


def test_parts_are_drawn_and_the_seed_decides(table):
    y, again, other = (tabular_data.parts(table, seed).y for seed in (0, 0, 1))
    np.testing.assert_array_equal(y, again)
    assert (y != other).any()
    # of 800 of 1000 numbers drawn: 499.5 within 5 deviations
    assert abs(y.mean() - 499.5) < 5 * np.sqrt(1000**2 / 12 / 800 * 200 / 999)


def test_inputs_stay_with_their_targets(table):
    for X, y in (tabular_data.parts(table)[:2], tabular_data.parts(table)[2:]):
        np.testing.assert_allclose(np.corrcoef(X[:, 0], y)[0, 1], 1, rtol=1e-6)
        np.testing.assert_array_equal(X[:, 2], y % 2 == 0)
        np.testing.assert_array_equal(X[:, 3], y % 2 == 1)


def test_what_is_tested_plays_no_part_in_the_standardization(table):
    parts = tabular_data.parts(table)
    # float32 rounds each of the 800 values by 6e-8 of its size, at most
    np.testing.assert_allclose(parts.X[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(parts.X[:, :2].std(axis=0), 1, rtol=1e-6)
    assert np.abs(parts.X_test[:, :2].mean(axis=0)).min() > 1e-4


def test_diamonds_are_written_each_once(tmp_path, capsys):
    head, rows = "carat,cut", [f"{i},Fair" for i in range(50)]
    tabular_data.write_diamonds(tmp_path, "\n".join([head, *rows]))
    parts = [(tmp_path / name).read_text().splitlines() for name in ("diamonds.csv", "new.csv")]
    assert [len(part) for part in parts] == [41, 11]
    assert [part[0] for part in parts] == [head, head]
    assert sorted(parts[0][1:] + parts[1][1:]) == sorted(rows)
    assert "new.csv: 10 rows" in capsys.readouterr().out
