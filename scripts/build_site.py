"""Builds the documentation site, and fails at any warning, broken link or missing anchor.

    python scripts/build_site.py                  builds build/site/html
    python scripts/build_site.py --run            runs every example again, for its recorded output
    python scripts/build_site.py --output FOLDER  builds FOLDER/html

All pages are first written as Markdown into one folder: the README as the front page, the pages
of `docs/`, a page for each public name and one for each example. MkDocs makes HTML of that folder,
and the HTML is checked. Building needs the extra `docs` and no network. Nothing but `mkdocs.yml`
knows of MkDocs: any generator that reads a folder of Markdown could take its place.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from site_build import api_pages, check_html, equations, gallery, navigation, pages

ROOT = Path(__file__).parents[1]


def write_sources(folder: Path, run_again: bool) -> None:
    """Writes the pages and the settings of MkDocs into the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    sources = folder / "pages"
    pages.write_pages(sources, api_pages.places_of_names())
    parts = {
        "Reference": api_pages.write_api(sources),
        "Gallery": gallery.write_gallery(sources, run_again),
    }
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    settings |= {"docs_dir": "pages", "site_dir": "html", "strict": True}
    settings["nav"] = navigation.complete(settings["nav"], parts, sources)
    python = settings["plugins"][-1]["mkdocstrings"]["handlers"]["python"]
    python["paths"] = [str(ROOT)]
    extension = ROOT / "scripts" / "site_build" / "docstrings.py"
    python["options"]["extensions"] = [f"{extension}:KnownTitles"]
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False))


def build(folder: Path) -> None:
    """Makes HTML of the pages in the folder.

    Raises:
        SystemExit: If MkDocs warns, or a link, an anchor or a loaded file is wrong.
    """
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        [*command, "--config-file", str(folder / "mkdocs.yml")],
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    equations.set_equations(folder / "html")
    if faults := check_html.find_faults(folder / "html"):
        raise SystemExit("\n".join([*faults, f"{len(faults)} faults in the built pages."]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the pages, builds the site and checks it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", action="store_true", help="run all examples again")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site")
    options = parser.parse_args(arguments)
    begin = time.perf_counter()
    folder = options.output.resolve()
    write_sources(folder, options.run)
    build(folder)
    count = len([*(folder / "html").rglob("*.html")])
    print(f"{count} pages in {folder / 'html'}, {time.perf_counter() - begin:.0f} s, no warnings")


if __name__ == "__main__":
    main()
