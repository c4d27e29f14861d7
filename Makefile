# make demo    the main job on bundled data: convert, lower, verify in Lava, report
# make test    all tests, on Python 3.10 with Lava
# make thorough  what takes longer: hundreds of networks in C, sanitizers, installing beside others, killed commands
# make fuzz    changed files of every format: no crash, no hang, no internal error, no wrong integers
# make check   style, types, and which room may import which
# make bench   speed of the golden model and of Lava; the energy model against published measurements
# make interop deployment files in five other simulators, and NIR files of four other frameworks here: the same spikes
#              or not (an environment for each)
# make counts  counts of neurobench, sinabs, syops and keras-spiking against what `--as` says of them
# make embedded  the generated C on emulated microcontrollers: results, flash, RAM, instructions
# make docs    the documentation as a site in build/site, strict; search needs: python -m http.server -d build/site
# make docs-run  every command and script that tutorial, questions and README print, run and compared; notebooks and examples
# make pictures  the pictures of docs/how-methods-work.md, drawn from runs; that of a report in README.md (Chromium)
# make sanafe  events, energy and time of a placed network against the simulator SANA-FE
# make release-check  sdist and wheel of the last commit, built twice, equal bytes; version and files; PYTHONS="3.12 3.13"
#              installs the wheel in a clean environment of each and runs the demo there
# CASES: the share of their random cases that tests draw, here fewer than a test asks for: CASES=1 make test draws all,
#        CASES=10 make test ten times as many.
# The first call makes .venv (Python 3.10, everything installed); later calls start at once.

PYTHON := .venv/bin/python
# Tests run side by side, on up to four cores.
PARALLEL := -n auto --maxprocesses 4

.PHONY: demo test check bench interop counts embedded sanafe test-core thorough fuzz release-check docs docs-run pictures
.DELETE_ON_ERROR:

demo: .venv/.installed
	$(PYTHON) -m spikec demo

test: .venv/.installed
	CASES=$${CASES:-0.3} $(PYTHON) -m pytest -q $(PARALLEL)

check: .venv/.installed
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	.ci/links
	$(PYTHON) -m mypy
	PYTHONPATH=.links .venv/bin/lint-imports

bench: .venv/.installed
	$(PYTHON) -m benchmarks.golden
	$(PYTHON) -m benchmarks.lava_speed
	$(PYTHON) -m benchmarks.energy_validation

interop: .venv/.installed
	$(PYTHON) -m benchmarks.interop
	$(PYTHON) -m benchmarks.foreign_nir

counts: .venv/.installed
	$(PYTHON) -m benchmarks.peer_counts

embedded: .venv/.installed
	$(PYTHON) -m benchmarks.c_embedded

sanafe: .venv/.installed
	$(PYTHON) -m benchmarks.sanafe_check

docs: .venv-docs/.installed
	.ci/links
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

docs-run: .venv/.installed
	$(PYTHON) -m benchmarks.docs_commands
	$(PYTHON) -m benchmarks.notebooks
	$(PYTHON) -m benchmarks.example_scripts

pictures: .venv/.installed
	$(PYTHON) -m benchmarks.docs_pictures
	$(PYTHON) -m benchmarks.docs_screenshot

release-check: .venv/.installed
	$(PYTHON) -m benchmarks.release --install $(PYTHONS)

# A short round; python -m benchmarks.fuzz runs the long one.
fuzz: .venv/.installed
	$(PYTHON) -m benchmarks.fuzz --nir 600 --others 1200 --flips 200 --jobs 2 --patience 10

# The core must also run on current Python, torch and numpy, where Lava cannot be installed. It computes the same:
# few random cases tell.
test-core: .venv-core/.installed
	CASES=$${CASES:-0.2} .venv-core/bin/python -m pytest -q $(PARALLEL) -m "not lava and not thorough"

# Hundreds of networks in C against plain loops, and under sanitizers; installing beside others; commands that are killed.
thorough: .venv/.installed
	$(PYTHON) -m pytest -q $(PARALLEL) -m thorough

.venv/.installed: pyproject.toml constraints/py310-lava.txt
	@.ci/environment .venv 3.10 constraints/py310-lava.txt --editable '.[lava,dev]'

.venv-core/.installed: pyproject.toml constraints/core.txt
	@.ci/environment .venv-core 3.11 constraints/core.txt torch==2.13.0 --editable '.[dev]'

.venv-docs/.installed: constraints/docs.txt
	@.ci/environment .venv-docs 3.11 constraints/docs.txt mkdocs-material 'mkdocstrings[python]' ruff
