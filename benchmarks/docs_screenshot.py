"""The picture of the report in README.md: digits-cnn, T = 4, in a headless Chromium at 1,280 px.

    python -m benchmarks.docs_screenshot          # docs/pictures/report.png

Needs a Chromium on the path. Fonts are those of the machine, so another one draws other bytes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from spikec.whole_files import replacing

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "report.png"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT, COLOURS = 1280, 810, 64


def main() -> int:
    browser = next((found for name in NAMES if (found := shutil.which(name))), None)
    if browser is None:
        print(f"no Chromium on the path, looked for {', '.join(NAMES)}: the picture of the report stays as it is")
        return 1
    with tempfile.TemporaryDirectory(prefix="spikec_screenshot_") as name:
        folder = Path(name)
        for words in ("export digits-cnn -T 4 -o digits-cnn.nir", "report digits-cnn.nir -o report.html"):
            command = [sys.executable, "-m", "spikec", *words.split()]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        shot = folder / "shot.png"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={shot}"]
        options += [f"--window-size={WIDTH},{HEIGHT + 200}", f"--user-data-dir={folder / 'profile'}"]
        page = (folder / "report.html").as_uri()
        subprocess.run([browser, *options, page], check=True, capture_output=True, timeout=120)
        with Image.open(shot) as image, replacing(PICTURE) as temporary:
            # Few colours: text and charts stay sharp, and the file a third of its size.
            small = image.convert("RGB").crop((0, 0, WIDTH, HEIGHT)).quantize(COLOURS, dither=Image.Dither.NONE)
            small.save(temporary, format="PNG", optimize=True)
    print(f"docs/pictures/report.png, {PICTURE.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
