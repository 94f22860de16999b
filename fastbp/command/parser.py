"""The arguments of every subcommand. Nothing here loads more than ``import fastbp`` does."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from .. import __version__
from .errors import UsageError, unknown

COMMANDS = {
    "train": "training",
    "predict": "predicting",
    "evaluate": "evaluating",
    "info": "information",
    "report": "reporting",
    "export": "exporting",
    "bench": "machine",
}
"""The subcommands, and the module of each, which has ``run(options) -> exit code``."""

ODD_NAMES = "A column whose name begins with a dash is given with an equals sign: --target=--price."


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, and knows options only by their full names."""

    def __init__(self, **options: Any) -> None:
        # What is not given is no attribute: a configuration file may give it.
        super().__init__(allow_abbrev=False, argument_default=argparse.SUPPRESS, **options)

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError that begins with how this subcommand is called."""
        usage = self.format_usage().strip()
        raise UsageError(f"{usage}\n{self.prog}: {_with_a_hint(message)}")

    def options(self) -> dict[str, argparse.Action]:
        """The options by their names in a configuration file: time_limit for --time-limit."""
        return {a.dest: a for a in self._actions if a.option_strings and a.dest != "help"}


def _with_a_hint(message: str) -> str:
    """argparse's message; for an unknown subcommand one that tells the nearest."""
    if message.startswith("argument COMMAND: invalid choice: "):
        came = message.split("'")[1]
        return unknown(came, COMMANDS, "subcommand")
    return message


def make() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole command, and those of its subcommands."""
    whole = Parser(
        prog="fastbp",
        description="From a table to a model and its predictions: CSV, Parquet and Feather files.",
        epilog="fastbp COMMAND --help describes a subcommand. Exit codes: 0 all is well, 1 the "
        "data or a file are not as they must be, 2 the arguments are not, 130 Ctrl-C.",
    )
    whole.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    makers = (_train, _predict, _evaluate, _info, _report, _export, _bench)
    parsers = {}
    for name, maker in zip(COMMANDS, makers, strict=True):
        about = (maker.__doc__ or "").strip()
        brief = about.partition(":")[0].rstrip(".").lower()
        parsers[name] = commands.add_parser(name, help=brief, description=about, epilog=ODD_NAMES)
        maker(parsers[name])
    return whole, parsers


def _train(parser: Parser) -> None:
    """Train a model: columns and the task are inferred, and said, and the model is one file."""
    parser.add_argument("data", metavar="DATA", help="the file to learn from; - for stdin")
    parser.add_argument(
        "--target",
        metavar="COL",
        action="append",
        help="the column to predict; may be repeated for several columns of numbers",
    )
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="the file to write; by default the name of DATA with .safetensors, in this folder",
    )
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--valid", metavar="FILE", help="rows to choose the best epoch by")
    rows.add_argument(
        "--split",
        metavar="SHARE",
        type=_share,
        help="hold this share of DATA's rows out for that, such as 0.2; "
        "without --valid and --split each network holds out rows of its own",
    )
    _learning(parser)
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="a TOML file with options by their names; those given here go before them",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the training of this model that was stopped or killed",
    )
    _reading(parser)
    _json(parser)


def _learning(parser: Parser) -> None:
    """What is learned, and how."""
    parser.add_argument(
        "--task",
        choices=("auto", "classification", "regression"),
        help="auto: by the target's values",
    )
    parser.add_argument("--preset", choices=("fast", "best"), help="by default fast")
    parser.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=_positive,
        help="end after so many seconds, reading included",
    )
    parser.add_argument("--epochs", metavar="N", type=_count, help="the most epochs")
    parser.add_argument("--weight", metavar="COL", help="the column with the weights of the rows")
    parser.add_argument(
        "--drop", metavar="COL", action="append", help="a column to leave out; may be repeated"
    )
    parser.add_argument(
        "--seed", metavar="N", type=_seed, help="by default 0: the same arguments, the same model"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        help="an argument of the estimator, such as ensemble=4; the value is JSON, or text",
    )


def _predict(parser: Parser) -> None:
    """Predict the rows of a file: in their order, with what identifies them."""
    _model(parser)
    parser.add_argument("data", metavar="DATA", help="the file to predict; - for stdin")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file to write: .csv, .parquet or .feather; - for CSV on stdout, the default",
    )
    parser.add_argument(
        "--keep",
        metavar="COL",
        action="append",
        help="a column of DATA to write, too; may be repeated; "
        "by default those that training has left out because they identify rows",
    )
    _reading(parser)


def _evaluate(parser: Parser) -> None:
    """Evaluate a model: on a file that has the target."""
    _scored(parser)
    _json(parser)


def _info(parser: Parser) -> None:
    """Describe a file of fastbp: a model, an ensemble, a checkpoint or a model of tables."""
    _model(parser)
    _json(parser)


def _report(parser: Parser) -> None:
    """Write a report: one HTML page with scores, curves and what the columns are worth."""
    _scored(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the page to write; by default the name of MODEL with .html, in this folder",
    )


def _export(parser: Parser) -> None:
    """Write a model for other programs: as ONNX, C, Fortran or a module of torch."""
    _model(parser)
    parser.add_argument(
        "--to",
        choices=("onnx", "c", "fortran", "torch"),
        required=True,
        help="onnx, c and fortran have the encoder of a model of tables; torch takes its inputs",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file to write; by default the name of MODEL with .onnx, .c, .f90 or .pt2, "
        "in this folder",
    )


def _bench(parser: Parser) -> None:
    """Measure this machine: the time of updates, and their share of its arithmetic peak."""
    _json(parser)


def _scored(parser: Parser) -> None:
    _model(parser)
    parser.add_argument("data", metavar="DATA", help="a file with the target; - for stdin")
    parser.add_argument(
        "--target",
        metavar="COL",
        action="append",
        help="the column with the right answers, where it has another name than in training",
    )
    parser.add_argument("--weight", metavar="COL", help="the column with the weights of the rows")
    _reading(parser)


def _model(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the file of the model")


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _reading(parser: Parser) -> None:
    group = parser.add_argument_group("CSV files, where what is inferred is wrong")
    group.add_argument(
        "--no-header", action="store_true", help="the first line is data: columns are c0, c1, ..."
    )
    group.add_argument("--delimiter", metavar="CHAR", type=_delimiter, help="; or \\t and so on")
    group.add_argument(
        "--decimal", metavar="MARK", choices=(".", ","), help="a point or a comma: 1.5 or 1,5"
    )
    group.add_argument("--encoding", metavar="NAME", type=_encoding, help="by default utf-8")


def _checked(
    convert: Callable[[str], float], fits: Callable[[float], bool], expected: str
) -> Callable[[str], Any]:
    """A type of argparse: a number for which ``fits`` holds."""

    def check(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r}, expected {expected}")
        return value

    return check


_positive = _checked(float, lambda x: 0 < x < float("inf"), "a number above 0")
_share = _checked(float, lambda x: 0 < x < 1, "a number above 0 and below 1")
_count = _checked(int, lambda n: 1 <= n < 2**31, "a whole number of at least 1")
_seed = _checked(int, lambda n: 0 <= n < 2**32, "a whole number from 0 to 4294967295")


def _delimiter(text: str) -> str:
    character = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(character) != 1 or ord(character) > 127 or character in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r}, expected one ASCII character, or \\t")
    return character


def _encoding(text: str) -> str:
    import codecs

    try:
        return codecs.lookup(text).name
    except LookupError:
        raise argparse.ArgumentTypeError(
            f"{text!r}, which Python does not know, expected utf-8, latin-1 or the like"
        ) from None
