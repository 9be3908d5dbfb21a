"""Draws docs/demo.svg from a real `retail demo`: make picture"""

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 132

if __name__ == "__main__":
    demo = [sys.executable, "-m", "retail.cli", "demo"]
    shown = subprocess.run(demo, check=True, capture_output=True, text=True).stdout
    shown = shown.replace(f"{Path.cwd()}/", "")
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text(shown), soft_wrap=True)
    # The picture must not fetch a font from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="make demo"), flags=re.DOTALL)
    Path(__file__).with_name("demo.svg").write_text(picture, encoding="utf-8")
