from pathlib import Path

import desireline.sidecar.http as package


def test_the_docstring_lists_every_file_of_the_folder() -> None:
    folder = Path(package.__file__).parent
    files = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    listed = {line.split("``")[1] for line in package.__doc__.splitlines() if line[:4] == "- ``"}
    assert listed == files
