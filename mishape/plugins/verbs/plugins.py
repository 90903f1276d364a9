"""``mishape plugins``: what is installed."""

from __future__ import annotations

from typing import Annotated

import typer


def plugins(
    name: Annotated[str | None, typer.Argument(help="Explain the plugins of this name.")] = None,
) -> None:
    """List every plugin by family, or explain one: its parameters, units, ranges and defaults."""
    from mishape.engine import registry

    found = [offer for family in registry.VERBS for offer in registry.offers(family)]
    if name is None:
        for offer in found:
            print(f"{offer.family:12} {offer.kind:20} {offer.distribution} {offer.version}")
        return
    matching = [offer for offer in found if offer.kind == name]
    if not matching:
        from mishape.engine.errors import PluginError
        from mishape.engine.wording import suggestion

        raise PluginError(f"no plugin is named {name!r}: {suggestion(name, {offer.kind for offer in found})}")
    for offer in matching:
        print(explanation(offer.family, offer.kind))


def explanation(family: str, kind: str) -> str:
    """Return a plugin's documentation and its parameters."""
    import inspect

    from mishape.engine import registry

    cls = registry.load(family, kind)
    lines = [f"{family} {kind}", "", inspect.getdoc(cls) or "", ""]
    for field_name, info in getattr(cls, "model_fields", {}).items():
        if field_name != "kind":
            about = " ".join((info.description or "").split())
            lines.append(f"  {field_name}: {about}{' (required)' if info.is_required() else ''}")
    return "\n".join(lines)
