"""What comes from others: its licences, its known faults, and that it is what it was when it was chosen."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = ("requirements.lock", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("tests/*/*.txt")))
PERMISSIVE: Final = re.compile(r"\b(MIT|MIT-0|BSD|Apache|PSF|0BSD|Zlib|CC0)\b", re.IGNORECASE)
# Weak copyleft, used as published: no source of theirs is changed or copied.
WEAK_COPYLEFT: Final = {"certifi": "MPL", "tqdm": "MPL", "psycopg2-binary": "LGPL"}


def licences(name: str, extras: frozenset[str], found: dict[str, str]) -> dict[str, str]:
    """The licence of each package that an installation of `name` brings, in the words of its own metadata."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return found
    try:
        package = distribution(name)
    except PackageNotFoundError:  # for another system
        return found
    metadata = package.metadata.json
    classified = [each for each in metadata.get("classifier", []) if each.startswith("License ::")]
    stated = [str(metadata.get(field, "")) for field in ("license_expression", "license")]
    found[key] = " ".join([*stated, *classified])
    for text in package.requires or []:
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": each}) for each in ("", *extras)):
            licences(needed.name, frozenset(needed.extras), found)
    return found


def test_everything_that_the_product_brings_may_be_used_in_any_product() -> None:
    found = licences("retail-lakehouse", frozenset({"simulator", "vault"}), {})
    assert len(found) > 50
    other = {name: stated for name, stated in found.items() if not PERMISSIVE.search(stated)}
    assert set(other) <= set(WEAK_COPYLEFT)
    assert all(WEAK_COPYLEFT[name] in stated for name, stated in other.items())


@pytest.mark.parametrize("lock", LOCKS)
def test_no_locked_version_has_a_stored_advisory_and_each_has_a_hash(lock: str) -> None:
    # `make audit` asks the Python Packaging Advisory Database; these are for where there is no way to it.
    advisories = json.loads((ROOT / "tests" / "advisories.json").read_text(encoding="utf-8"))
    text = (ROOT / lock).read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^\s;]+).*\\$\n    --hash=sha256:", text, re.MULTILINE))
    assert len(locked) == len(set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))) > 20
    old = [
        f"{each['package']} {locked[each['package']]}: {', '.join(each['ids'])}"
        for each in advisories
        if each["package"] in locked and Version(locked[each["package"]]) < Version(each["fixed"])
    ]
    assert old == []


def test_each_package_of_node_has_a_digest_and_no_address() -> None:
    lock = json.loads((ROOT / "tests" / "official" / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert [
        name for name, each in packages.items() if not each.get("integrity", "").startswith("sha512-")
    ] == []
    assert [name for name, each in packages.items() if "resolved" in each] == []


def test_each_jar_that_is_named_has_a_digest() -> None:
    lines = (ROOT / "conf" / "spark-jars.sha256").read_text(encoding="utf-8").splitlines()
    names = [name for _, name in map(str.split, lines)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest, _ in map(str.split, lines))
