"""Report of an export to other frameworks, as text."""

from __future__ import annotations

from neurodeploy.stages.export import Exported


def render_exported(exported: Exported) -> str:
    """The file, what has to be told about it, and what each framework reads otherwise."""
    lines = [f"wrote {exported.path}", *exported.notes]
    for framework, told in exported.lost.items():
        if not told:
            lines.append(f"{framework}: reads it with the same spikes")
            continue
        lines.append(f"{framework}: reads it with other spikes, or not at all")
        lines += [f"  {text}" for text in told]
    return "\n".join(lines)
