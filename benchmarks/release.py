"""Everything a release has to show, from a clean checkout: ``python -m benchmarks.release`` (``make release-check``).

The commit is exported. A source distribution and a wheel are built from it twice, in other folders, and must be equal
byte for byte; so must the wheel of the unpacked source distribution. Version, changelog, CITATION.cff and metadata
must agree. With ``--install 3.10 3.11 ...`` the wheel is installed in a clean environment of each Python, and ``spikec
demo`` runs in an empty folder; ``--extra lava`` names extras, ``--with torch==2.13.0+cpu`` further requirements.
``--docs``, with ``--extra lava,dev``: the commands of tutorial, questions and README, the notebooks and the examples
run there too, with the wheel instead of the checkout. An environment takes several GB, and is deleted before the next
one is made. The files are left in ``--out``.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What a source distribution has to hold beside the package.
WANTED = ("docs/", "tests/", "benchmarks/", "examples/", "constraints/", "Makefile", "CHANGELOG.md", "SECURITY.md")


def run(*words: str | Path, **options: object) -> str:
    """Standard output of a command; ends with what it said where it fails."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def exported(folder: Path) -> Path:
    """The commit, without what lies about beside it."""
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", ROOT, "-c", "tar.umask=0022", "archive", "HEAD"], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as held:
        held.extractall(folder)
    return folder


def settled(sdist: Path, when: int) -> None:
    """The same source distribution with its members sorted, of one time and of nobody: whoever builds it gets it."""
    with tarfile.open(sdist) as held:
        members = sorted(held.getmembers(), key=lambda member: member.name)
        content = {member.name: held.extractfile(member).read() for member in members if member.isfile()}  # type: ignore[union-attr]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as out:
        for member in members:
            member.mtime, member.uid, member.gid, member.uname, member.gname = when, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            out.addfile(member, io.BytesIO(content[member.name]) if member.isfile() else None)
    with sdist.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=when) as zipped:
        zipped.write(packed.getvalue())


def built(source: Path, out: Path, when: int, *kinds: str) -> dict[str, Path]:
    """Distributions of ``source`` in ``out``, by kind: ``sdist``, ``wheel``."""
    out.mkdir(parents=True)
    told = {**os.environ, "SOURCE_DATE_EPOCH": str(when), "PYTHONPATH": ""}
    found = {}
    for kind in kinds:
        code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
        run(sys.executable, "-c", code, cwd=source, env=told)
        (found[kind],) = out.glob("*.tar.gz" if kind == "sdist" else "*.whl")
        if kind == "sdist":
            settled(found[kind], when)
    return found


def equal(what: str, first: Path, second: Path) -> None:
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)]
    if sums[0] != sums[1]:
        sys.exit(f"{what}: {first.name} differs, {sums[0]} and {sums[1]}")
    print(f"{what}: equal, {first.name} sha256 {sums[0]}")


def check_texts(source: Path, wheel: Path, sdist: Path) -> None:
    """One version everywhere, and all files."""
    stated = re.search(r'^__version__ = "(.+)"$', (source / "toolchain/version.py").read_text(), re.MULTILINE)
    version = stated[1] if stated else sys.exit("toolchain/version.py states no version")
    with zipfile.ZipFile(wheel) as held:
        names = held.namelist()
        about = held.read(f"spikec-{version}.dist-info/METADATA").decode()
    problems = []
    if f"\nVersion: {version}\n" not in about:
        problems.append(f"the wheel is not of version {version}")
    if f"\n## [{version}]" not in (source / "CHANGELOG.md").read_text():
        problems.append(f"CHANGELOG.md has no section {version}")
    citation = source / "CITATION.cff"
    if citation.is_file() and not re.search(
        rf'^version: "?{re.escape(version)}"?$', citation.read_text(), re.MULTILINE
    ):
        problems.append(f"CITATION.cff is not of version {version}")
    if strange := {name.split("/")[0] for name in names} - {"spikec", f"spikec-{version}.dist-info"}:
        problems.append(f"the wheel holds {', '.join(sorted(strange))} too")
    with tarfile.open(sdist) as held_by_sdist:
        inside = {name.partition("/")[2] for name in held_by_sdist.getnames()}
    tracked = set(run("git", "-C", ROOT, "ls-tree", "-r", "--name-only", "HEAD").splitlines())
    left_out = {name for name in tracked - inside if name.startswith(WANTED)}
    if left_out:
        problems.append(f"the source distribution lacks {', '.join(sorted(left_out)[:5])}")
    if problems:
        sys.exit("; ".join(problems))
    print(
        f"version {version} in package, metadata and changelog; "
        f"{len(names)} files in the wheel, {len(inside)} in the sdist"
    )


#: What runs the documentation, from the folder of a commit; the package is the one that is installed.
DOCS = ("docs_commands", "notebooks", "example_scripts")


def install(python: str, wheel: Path, extra: str, more: list[str], folder: Path, docs: Path | None) -> None:
    """A clean environment with the wheel, and the demo in an empty folder; what the commit ``docs`` prints."""
    place, empty = folder / "venv", folder / "empty"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    try:
        run(f"python{python}", "-m", "venv", place, env={**environment, "PYENV_VERSION": python})
        wanted = f"{wheel}[{extra}]" if extra else str(wheel)
        run(place / "bin/python", "-m", "pip", "install", "-q", "--no-compile", wanted, *more, env=environment)
        listed = run(place / "bin/python", "-m", "pip", "list", "--format=freeze", env=environment).split()
        shown = [each for each in listed if re.match("(spikec|torch|numpy|nir|h5py|lava-nc)[=@ ]", each)]
        empty.mkdir()
        said = run(place / "bin/spikec", "demo", cwd=empty, env=environment).splitlines()
        made = {path.name for path in (empty / "spikec-demo").iterdir()}
        if not made >= {"digits-cnn.nir", "report.html", "report.json"}:
            sys.exit(f"Python {python}: the demo wrote {', '.join(sorted(made))}")
        print(f"Python {python}{f' [{extra}]' if extra else ''}: {', '.join(shown)}")
        print("\n".join(f"  {line}" for line in said if line.startswith(("golden", "lava"))))
        for module in DOCS if docs else ():
            said = run(place / "bin/python", "-m", f"benchmarks.{module}", cwd=docs, env=environment).splitlines()
            print("\n".join(f"  {line}" for line in said))
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(empty, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", nargs="*", default=[], metavar="VERSION", help="versions of Python, such as 3.12")
    parser.add_argument("--extra", default="", help="extras to install, such as lava")
    parser.add_argument("--with", dest="more", nargs="*", default=[], metavar="REQUIREMENT", help="install these too")
    parser.add_argument("--docs", action="store_true", help="run what the documentation prints, with the wheel")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR", help="where the files go (dist)")
    args = parser.parse_args()
    if run("git", "-C", ROOT, "status", "--porcelain").strip():
        print("note: what is not committed is no part of this", file=sys.stderr)
    when = int(run("git", "-C", ROOT, "log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = exported(folder / "one" / "source")
        first = built(source, folder / "one" / "dist", when, "sdist", "wheel")
        second = built(exported(folder / "other" / "source"), folder / "other" / "dist", when, "sdist", "wheel")
        for kind in first:
            equal(f"{kind} built twice", first[kind], second[kind])
        with tarfile.open(first["sdist"]) as held:
            held.extractall(folder / "unpacked")
        (unpacked,) = (folder / "unpacked").iterdir()
        equal("wheel of the sdist", first["wheel"], built(unpacked, folder / "again", when, "wheel")["wheel"])
        check_texts(exported(folder / "clean"), first["wheel"], first["sdist"])
        for python in args.install:
            docs = exported(folder / f"docs-{python}") if args.docs else None
            install(python, first["wheel"], args.extra, args.more, folder, docs)
        args.out.mkdir(exist_ok=True)
        for path in first.values():
            shutil.copy(path, args.out)
    print(f"{args.out}: {', '.join(sorted(path.name for path in first.values()))}")


if __name__ == "__main__":
    main()
