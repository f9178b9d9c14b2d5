"""Generated interfaces as HTML: a frame (bar, side menu, columns) filled with elements."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from pipelines.train.detection.components import Components
from pipelines.train.detection.content import Content
from pipelines.train.detection.drawings import Drawing
from pipelines.train.detection.kits import Kit
from pipelines.train.detection.themes import theme

VIEWPORTS = ((1280, 800), (1280, 800), (1440, 900), (1024, 768), (1366, 768), (390, 844), (768, 1024), (1600, 900))


def interface(
    rng: random.Random, kit: Kit, packages: Path, icons: Sequence[Drawing], pictures: Sequence[Drawing]
) -> str:
    """One page of one kit."""
    parts = Components(rng, kit, Content(rng), icons, pictures)
    style = kit.style(packages) + theme(rng, kit.name == "own")
    dark = rng.random() < 0.25
    bar = _bar(parts) if rng.random() < 0.75 else ""
    columns = rng.choice((1, 1, 2, 2, 3))
    blocks = [_block(parts) for _ in range(columns * rng.randint(2, 5))]
    grid = (
        f"display:grid;grid-template-columns:repeat(auto-fit,minmax({rng.choice((260, 320, 420))}px,1fr));gap:{rng.randint(8, 32)}px"
        if columns > 1
        else f"max-width:{rng.choice((420, 640, 900, 2000))}px;margin:0 auto"
    )
    main = f'<main style="flex:1;min-width:0;padding:{rng.randint(6, 36)}px;{grid}">{"".join(blocks)}</main>'
    if rng.random() < 0.4:
        side = f'<div style="flex:0 0 {rng.randint(150, 260)}px;padding:8px;box-sizing:border-box;background:#8881">{parts.menu()}</div>'
        main = (
            f'<div style="display:flex;align-items:flex-start">{side}{main}</div>'
            if rng.random() < 0.8
            else f'<div style="display:flex">{main}{side}</div>'
        )
    zoom = rng.choice((0.8, 0.9, 1, 1, 1, 1.1, 1.25))
    modes = f'data-theme="{"dark" if dark else "light"}" data-bs-theme="{"dark" if dark else "light"}" data-color-mode="{"dark" if dark else "light"}" data-light-theme="light" data-dark-theme="dark"'
    return f'<!doctype html><html {modes}><meta charset="utf-8"><style>{style}</style><body style="zoom:{zoom}">{bar}{main}</body></html>'


def _bar(parts: Components) -> str:
    """The bar at the top: a name or logo, links, a search field, icons."""
    rng = parts.rng
    items = [f"<b>{parts.say.words(1, 2)}</b>"] if rng.random() < 0.6 else [parts.icon(28, "logo")[0]]
    items += [parts.link() for _ in range(rng.randint(0, 5))]
    right = []
    if rng.random() < 0.5:
        right.append(parts.search())
    right += [parts.icon_button() for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.4:
        right.append(parts.avatar())
    if rng.random() < 0.4:
        right.append(parts.button())
    look = rng.choice(
        ("", "background:var(--accent);color:#fff", "border-bottom:1px solid #8885", "background:#222;color:#eee")
    )
    left = f'<span style="display:flex;gap:18px;align-items:center">{"".join(items)}</span>'
    end = f'<span style="display:flex;gap:10px;align-items:center">{"".join(right)}</span>'
    return f'<div{parts.classes("nav")} style="display:flex;justify-content:space-between;align-items:center;padding:6px 16px;{look}">{left}{end}</div>'


def _block(parts: Components) -> str:
    """A piece of a page: a form, a list, a table, a card, a tool bar, ..."""
    rng = parts.rng
    makers = (
        (_form, 5), (_card, 3), (lambda p: p.table(), 1.2), (lambda p: p.toolbar(), 1.6), (lambda p: p.buttons(), 1.5), (lambda p: p.choices(), 2),
        (lambda p: p.tabs(), 1.2), (_list, 1.5), (lambda p: p.text(24), 1), (lambda p: p.image(), 0.7), (lambda p: p.progress(), 0.5),
        (lambda p: p.chart(rng.randint(180, 420), rng.randint(100, 220)), 0.5), (_tiles, 1.5), (lambda p: p.search(), 0.6), (lambda p: p.menu(), 0.5),
    )  # fmt: skip
    inner = rng.choices([m for m, _ in makers], [w for _, w in makers])[0](parts)
    title = parts.heading() if rng.random() < 0.4 else ""
    framed = rng.random() < 0.35
    cls = parts.classes("card") or ' class="card0"'
    return (
        f"<div{cls}><div{parts.classes('card.body')}>{title}{inner}</div></div>"
        if framed
        else f"<div>{title}{inner}</div>"
    )


def _form(parts: Components) -> str:
    rng = parts.rng
    fields = [parts.field() for _ in range(rng.randint(1, 5))]
    fields += [parts.choice() for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.3:
        rng.shuffle(fields)
    wide = "display:grid;grid-template-columns:1fr 1fr;gap:12px" if rng.random() < 0.25 else ""
    return f'<form{parts.classes("form")}><div style="{wide}">{"".join(fields)}</div>{parts.buttons()}</form>'


def _card(parts: Components) -> str:
    picture = parts.image() if parts.chance(0.5) else ""
    return f"{picture}{parts.heading(3)}{parts.text(10)}{parts.buttons() if parts.chance(0.6) else parts.link()}"


def _list(parts: Components) -> str:
    """Rows of a picture, texts and something to press."""
    rows = []
    look, end = parts.rng.random(), parts.rng.random()
    for _ in range(parts.rng.randint(2, 6)):
        start = parts.avatar() if look < 0.45 else parts.icon(24)[0] if look < 0.8 else ""
        action = (
            parts.icon_button() if end < 0.4 else parts.button() if end < 0.6 else parts.badge() if end < 0.75 else ""
        )
        texts = f'<span style="flex:1"><b>{parts.say.words(1, 3)}</b><br><small>{parts.say.sentence(5)}</small></span>'
        rows.append(
            f'<div style="display:flex;gap:12px;align-items:center;padding:8px 0;border-bottom:1px solid #8883">{start}{texts}{action}</div>'
        )
    return "".join(rows)


def _tiles(parts: Components) -> str:
    """Icons with captions, as launchers and feature lists have them."""
    size = parts.rng.choice((20, 24, 32, 40, 48))
    cells = "".join(
        f'<div style="text-align:center;padding:8px">{parts.icon(size)[0]}<div>{parts.say.words(1, 1)}</div></div>'
        for _ in range(parts.rng.randint(3, 9))
    )
    return f'<div style="display:grid;grid-template-columns:repeat(auto-fill,minmax({size + 50}px,1fr))">{cells}</div>'
