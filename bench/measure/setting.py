"""Where a measurement takes place: the binary, the corpus, a folder for what comes and goes, how many runs."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent.parent


@dataclass
class Setting:
    driblet: Path
    work: Path
    runs: int

    @property
    def decode(self):
        """The example of core that decodes in memory."""
        return self.driblet.parent / "examples" / "decode"

    @property
    def encode(self):
        """The example of core that encodes in memory."""
        return self.driblet.parent / "examples" / "encode"

    def fresh(self, name):
        """An empty folder."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def corpus(name):
    """The folder with a pair's `old` and `new`, made if it is not there."""
    folder = HERE / "data" / name
    if not (folder / "how").exists():
        subprocess.run([HERE / "corpus" / "make.sh", HERE / "data", name], check=True)
    return folder


def b3sum():
    """The path of b3sum, installed if it is not there."""
    tools = HERE / "data" / ".work" / "tools"
    found = shutil.which("b3sum") or shutil.which(tools / "bin" / "b3sum")
    if not found:
        subprocess.run(["cargo", "install", "b3sum", "--locked", "--root", tools], check=True)
    return found or tools / "bin" / "b3sum"
