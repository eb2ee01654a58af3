"""Report of ``neurodeploy doctor``, as text."""

from __future__ import annotations

from neurodeploy.render.text import render_table
from neurodeploy.stages.doctor import Installation


def render_doctor(found: Installation) -> str:
    """Return what was found as text."""
    lines = [
        f"neurodeploy {found.neurodeploy}, Python {found.python}, {found.platform}",
        found.executable,
        "",
        render_table(
            ["package", "version"],
            [(name, version or "not installed") for name, version in found.packages.items()],
        ),
        "",
        render_table(
            ["works", "kind", "name", "detail"],
            [
                ("yes" if finding.works else "NO", finding.kind, finding.name, finding.detail)
                for finding in found.findings
            ],
        ),
    ]
    broken = [finding for finding in found.findings if not finding.works]
    if broken:
        lines += ["", "to mend:"]
        lines += [f"  {f.name}: {f.remedy or f.detail}" for f in broken]
    return "\n".join(lines)
