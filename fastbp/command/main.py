"""The way in: which subcommand runs, and how it ends."""

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from . import parser, ranks
from .errors import INTERRUPTED, CommandError, DataError
from .messages import say, warnings_as_remarks

if TYPE_CHECKING:
    from ..distributed.group import Group


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fastbp`` and return its exit code.

    Args:
        argv: the arguments; None for those of the process.

    Returns:
        0 if all is well, 1 where the data or a file are not as they must be, 2 where the arguments
        are not, and 130 after Ctrl-C.

    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    rank, size = ranks.started()
    if arguments[:1] != ["train"]:  # what is not shared out, rank 0 does
        if rank:
            say(f"fastbp: rank {rank} of {size} leaves this to rank 0")
            return 0
        return _exit_code(arguments)
    try:
        group = ranks.joined()
    except (CommandError, ImportError) as error:
        say(f"fastbp train: {error}")
        return getattr(error, "code", 1)
    with ranks.silenced() if rank else nullcontext():
        return _exit_code(arguments, group)


def _exit_code(argv: list[str], group: "Group | None" = None) -> int:
    """Run the command. group: the ranks that run it together; they end by one message."""
    try:
        with nullcontext() if group is None else group.call("fastbp train"):
            return _run(argv, group)
    except SystemExit as end:  # argparse has shown help or the version
        return int(end.code or 0)
    except CommandError as error:
        say(str(error))
        return error.code
    except KeyboardInterrupt:
        say("fastbp: stopped")
        return INTERRUPTED
    except BrokenPipeError:
        _leave_stdout()
        return 1


def _run(argv: list[str], group: "Group | None") -> int:
    whole, parsers = parser.make()
    options = whole.parse_args(argv)
    if "config" in options:
        from . import config

        options = config.merged(options, parsers[options.command])
    module = importlib.import_module(f".{parser.COMMANDS[options.command]}", __package__)
    prefix = f"fastbp {options.command}"
    with warnings_as_remarks(prefix):
        try:
            code: int = module.run(options) if group is None else module.run(options, group)
            return code
        except BrokenPipeError:
            raise
        except CommandError as error:
            text = str(error)  # another rank has named the command already
            raise type(error)(text if text.startswith(prefix) else f"{prefix}: {text}") from error
        except (ValueError, TypeError, ImportError, OSError, MemoryError) as error:
            raise DataError(f"{prefix}: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    """What the library says of data, files and packages."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {error}" if str(error) else "there is no more memory"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def _leave_stdout() -> None:
    """Whoever read stdout has gone: let the interpreter end without another word of it."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
