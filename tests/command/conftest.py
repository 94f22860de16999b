"""Models that the tests of the command share."""

import pytest

from support import command


@pytest.fixture(scope="session")
def folder_of_models(tmp_path_factory):
    """A folder with table.csv, and the models colour.safetensors and price.safetensors."""
    pytest.importorskip("sklearn")
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("models")
    data = command.write(folder / "table.csv", command.text())
    for target in ("colour", "price"):
        arguments = ["train", data, "--target", target, "--epochs", "12", "--set", "ensemble=2"]
        arguments += ["--model", str(folder / f"{target}.safetensors")]
        assert command.main(arguments) == 0
    return folder
