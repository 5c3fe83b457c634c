"""Write an SBOM of what production installs, and ask for its known vulnerabilities where that can be done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKED = ROOT / "requirements/production.txt"


def write_sbom(build: Path) -> Path:
    """Write the SBOM of the environment ``build/production`` in CycloneDX' JSON; it must list what is installed."""
    sbom = build / "sbom.cdx.json"
    subprocess.run(  # noqa: S603 # a program of our own environment
        [
            build / "audit/bin/cyclonedx-py",
            "environment",
            "--pyproject",
            ROOT / "pyproject.toml",
            "--output-reproducible",
            "--output-file",
            sbom,
            build / "production/bin/python",
        ],
        check=True,
    )
    return sbom


def told(sbom: Path) -> str:
    """Say what an SBOM lists."""
    components = json.loads(sbom.read_text(encoding="utf-8"))["components"]
    unlicensed = sorted(one["name"] for one in components if not one.get("licenses"))
    without = f"; no licence given by {', '.join(unlicensed)}" if unlicensed else ""
    return f"{sbom}: {len(components)} packages{without}"


def audit(build: Path) -> tuple[int, str]:
    """Ask PyPI's database about every locked package; give the exit code and what to say."""
    asked = subprocess.run(  # noqa: S603 # a program of our own environment
        [
            build / "audit/bin/pip-audit",
            "--requirement",
            LOCKED,
            "--require-hashes",
            "--disable-pip",
            "--format",
            "json",
            "--progress-spinner",
            "off",
            "--timeout",
            "10",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return judged(asked.stdout, asked.stderr)


def judged(report: str, errors: str) -> tuple[int, str]:
    """Judge pip-audit's report: no report at all means that its database could not be asked."""
    try:
        packages = json.loads(report)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        reason = (errors.strip().splitlines() or ["it said nothing"])[-1]
        return 0, f"NOT CHECKED: known vulnerabilities; their database cannot be asked: {reason}"
    unasked = sorted(one["name"] for one in packages if "skip_reason" in one)
    found = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for one in packages
        for fault in one.get("vulns", ())
    ]
    if found:
        return 1, "known vulnerabilities:\n" + "\n".join(f"  {line}" for line in found)
    if len(unasked) == len(packages):
        return (
            0,
            "NOT CHECKED: known vulnerabilities; what answers in their database's place knows none of the packages",
        )
    if unasked:
        return (
            0,
            f"NOT CHECKED: the database does not know {', '.join(unasked)}; the others have no known vulnerabilities",
        )
    return 0, f"no known vulnerabilities in {len(packages)} packages"


def main(build: Path) -> int:
    """Do both; 1 where something is vulnerable."""
    sys.stdout.write(told(write_sbom(build)) + "\n")
    code, sentence = audit(build)
    sys.stdout.write(sentence + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
