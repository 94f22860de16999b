"""Arguments of the command: help, what is refused, configuration files."""

import subprocess
import sys
import tomllib
from argparse import Namespace
from pathlib import Path

import pytest

import fastbp
from fastbp.command import config, parser, settings
from fastbp.command.errors import UsageError
from support import command

ROOT = Path(__file__).parents[2]


def parsed(*arguments):
    return parser.make()[0].parse_args([str(one) for one in arguments])


def train(*arguments):
    return parsed("train", "data.csv", "--target", "y", *arguments)


def test_help_names_every_subcommand(capsys):
    said = command.run(capsys, "--help")
    assert said.code == 0
    assert all(name in said.out for name in parser.COMMANDS)


@pytest.mark.parametrize("name", parser.COMMANDS)
def test_every_subcommand_has_a_module_and_help(name, capsys):
    said = command.run(capsys, name, "--help")
    assert said.code == 0
    assert "usage: fastbp" in said.out
    assert (ROOT / "fastbp" / "command" / f"{parser.COMMANDS[name]}.py").exists()


def test_every_option_is_on_the_page():
    page = (ROOT / "fastbp" / "command" / "README.md").read_text(encoding="utf-8")
    for one in parser.make()[1].values():
        for action in one.options().values():
            assert f"`{action.option_strings[-1]}" in page, action.option_strings


def test_version(capsys):
    assert command.run(capsys, "--version").out == f"fastbp {fastbp.__version__}\n"


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["train", "--help"], 0), (["trian"], 2), (["train", "a", "--epochs=x"], 2)],
)
def test_help_and_usage_errors_load_nothing_more(arguments, code):
    program = (
        "import sys\n"
        "from fastbp.command.main import main\n"
        f"code = main({arguments!r})\n"
        "assert not {'pyarrow', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr


@pytest.mark.process
def test_importing_fastbp_imports_nothing_of_the_command():
    program = "import sys, fastbp; fastbp.Network; print('fastbp.command' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], "COMMAND"),
        (["trian"], "'trian' is no subcommand: did you mean 'train'?"),
        (["train"], "DATA"),
        (["train", "a", "--split", "1"], "'1', expected a number above 0 and below 1"),
        (["train", "a", "--valid", "b", "--split", "0.2"], "not allowed with argument"),
        (["train", "a", "--epochs", "0"], "'0', expected a whole number of at least 1"),
        (["train", "a", "--time-limit", "nan"], "'nan', expected a number above 0"),
        (["train", "a", "--seed", "-1"], "'-1', expected a whole number from 0"),
        (["train", "a", "--preset", "good"], "invalid choice: 'good'"),
        (["train", "a", "--delimiter", "::"], "'::', expected one ASCII character"),
        (["train", "a", "--encoding", "utf-9"], "'utf-9', which Python does not know"),
        (["train", "a", "--epoch", "3"], "unrecognized arguments: --epoch"),
        (["train", "a"], "--target is missing"),
        (["predict", "m"], "DATA"),
        (["predict", "m", "d", "-o", "x.xlsx"], "expected one of .csv, .parquet, .pq, .feather"),
        (["export", "m"], "--to"),
    ],
)  # fmt: skip
def test_wrong_arguments_end_with_2_and_a_sentence(arguments, wanted, capsys):
    assert wanted in command.refused(capsys, *arguments, code=2)


def test_a_name_that_looks_like_an_option_is_given_with_an_equals_sign():
    assert parsed("train", "d", "--target=--drop", "--drop=-x").target == ["--drop"]


@pytest.fixture
def toml(tmp_path):
    def write(content):
        return command.write(tmp_path / "train.toml", content)

    return write


def merged(path, *arguments):
    options = parsed("train", "data.csv", "--config", path, *arguments)
    return config.merged(options, parser.make()[1]["train"])


def test_a_file_gives_options_and_the_command_line_goes_before_it(toml):
    path = toml(
        'target = "y"\ntime-limit = 60\nepochs = 5\ndrop = ["a", "b"]\nresume = true\n'
        '[set]\nensemble = 4\nclass_weight = "balanced"\n'
    )
    options = merged(path, "--epochs", "7", "--drop", "c", "--set", "ensemble=2")
    assert options.target == ["y"]
    assert (options.time_limit, options.epochs, options.drop) == (60.0, 7, ["c"])
    assert options.resume is True
    assert options.data == "data.csv"
    found = settings.arguments(options)
    assert (found["ensemble"], found["class_weight"]) == (2, "balanced")


def test_rows_to_validate_by_are_given_once(toml):
    options = merged(toml("split = 0.2"), "--valid", "other.csv")
    assert not hasattr(options, "split")


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("epoch = 5", "'epoch' is no option: did you mean 'epochs'?"),
        ("config = 'a'", "'config' is no option"),
        ("epochs = 'many'", "'many', expected a whole number"),
        ("epochs = [1, 2]", "expected one value"),
        ("epochs = true", "expected text or a number"),
        ("resume = 1", "expected true or false"),
        ("set = 3", "expected a table"),
        ("[set]\nday = 2024-01-01", "expected text, numbers"),
        ("epochs = ", "is no TOML file"),
        ("valid = 'a'\nsplit = 0.5", "not allowed with"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(content, wanted, toml):
    path = toml(content)
    with pytest.raises(UsageError) as caught:
        merged(path)
    assert wanted in str(caught.value)
    assert str(caught.value).startswith(path)


def test_a_missing_file_of_options_is_named(capsys):
    err = command.refused(capsys, "train", "a", "--config", "none.toml", code=2)
    assert "none.toml" in err


def test_values_of_set_are_json_or_text():
    options = Namespace(set=['kinds={"zip": "category"}', "class_weight=balanced", "ensemble=3"])
    found = settings.arguments(options)
    assert found["kinds"] == {"zip": "category"}
    assert (found["class_weight"], found["ensemble"]) == ("balanced", 3)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("ensemble", "expected KEY=VALUE"), ("epochs=3", "an option of its own, --epochs")],
)
def test_what_set_refuses(text, wanted):
    with pytest.raises(UsageError, match=wanted):
        settings.arguments(Namespace(set=[text]))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            {"ensembel": 3},
            "'ensembel' is no argument of TabularClassifier: did you mean 'ensemble'",
        ),
        ({"ensemble": 0}, "'ensemble' parameter"),
    ],
)
def test_arguments_that_the_estimator_lacks_are_named(given, wanted):
    pytest.importorskip("sklearn")
    pytest.importorskip("pyarrow")
    from fastbp.tabular import TabularClassifier

    with pytest.raises(UsageError, match=wanted):
        settings.estimator(TabularClassifier, given)


def test_the_console_script_is_the_command():
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    assert scripts == {"fastbp": "fastbp.command.main:main"}
