"""``mishape plugins``: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


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
            lines.append(f"  {field_name}: {parameter(info)}")
    return "\n".join(lines)


def parameter(info: FieldInfo) -> str:
    """Return what is known of a parameter: its description, and type, bounds and default from the field itself."""
    bounds = [
        f"{sign} {getattr(limit, name):g}"
        for limit in info.metadata
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        if getattr(limit, name, None) is not None
    ]
    default = "required" if info.is_required() else f"default {info.get_default(call_default_factory=True)}"
    about = " ".join((info.description or "").split())
    return f"{about} [{', '.join([*bounds, default])}]".lstrip()
