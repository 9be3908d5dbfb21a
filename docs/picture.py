"""Draws docs/demo.svg from a real `retail demo`: make picture"""

import re
import subprocess
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 132

if __name__ == "__main__":
    shown = subprocess.run(["retail", "demo"], check=True, capture_output=True, text=True).stdout
    console = Console(record=True, width=WIDTH, file=Path("/dev/null").open("w"))
    console.print(Text(shown))
    picture = console.export_svg(title="make demo")
    # The picture must not fetch a font from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    Path(__file__).with_name("demo.svg").write_text(picture, encoding="utf-8")
