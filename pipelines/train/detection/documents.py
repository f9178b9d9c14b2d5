"""Generated document pages as HTML: letters, forms and reports with figures, tables, stamps, signatures, logos."""

from __future__ import annotations

import html
import math
import random
from collections.abc import Sequence

from pipelines.train.detection.components import Components
from pipelines.train.detection.content import CHOICES, FIELDS, Content
from pipelines.train.detection.drawings import Drawing
from pipelines.train.detection.kits import Kit
from pipelines.train.detection.themes import COMMON, FONTS

PAPER = (1000, 1414)  # pixels, the ratio of A4


def document(rng: random.Random, icons: Sequence[Drawing], pictures: Sequence[Drawing]) -> str:
    """One page."""
    parts = Components(rng, Kit("paper", ""), Content(rng), icons, pictures)
    makers = (
        (lambda: _text(parts), 5), (lambda: parts.heading(), 2), (lambda: parts.table(), 2), (lambda: _boxes(parts), 1.5), (lambda: _lines(parts), 1),
        (lambda: parts.chart(rng.randint(220, 520), rng.randint(120, 280)), 1.2), (lambda: parts.image(f"{rng.randint(40, 100)}%"), 1), (lambda: _code(rng), 0.8),
    )  # fmt: skip
    body = "".join(
        f'<div style="margin:14px 0">{rng.choices([m for m, _ in makers], [w for _, w in makers])[0]()}</div>'
        for _ in range(rng.randint(4, 9))
    )
    head = (
        f'<div style="display:flex;justify-content:space-between;align-items:center">{_logo(parts)}<small>{html.escape(parts.say.value())}<br>{html.escape(parts.say.value())}</small></div>'
        if rng.random() < 0.7
        else ""
    )
    end = (
        f'<div style="display:flex;justify-content:space-around;margin-top:30px">{_signature(parts)}{_signature(parts) if rng.random() < 0.3 else ""}</div>'
        if rng.random() < 0.7
        else ""
    )
    stamps = "".join(_stamp(parts) for _ in range(rng.choices((0, 1, 2), (4, 5, 1))[0]))
    columns = f"columns:2;column-gap:{rng.randint(20, 50)}px" if rng.random() < 0.2 else ""
    size, margin = rng.randint(13, 19), rng.randint(40, 110)
    style = (
        COMMON
        + f"body{{font:{size}px/1.45 '{rng.choice(FONTS)}',serif;background:#fff;color:#111;--accent:#444;--gap:8px;--pad:4px;--round:2px;--sw:30px}}table{{border-collapse:collapse;width:100%}}td,th{{padding:5px 8px;{rng.choice(('border:1px solid #444', 'border-bottom:1px solid #999', ''))};text-align:left}}input[type=checkbox],input[type=radio]{{width:{rng.randint(13, 20)}px;height:{rng.randint(13, 20)}px;accent-color:#333}}"
    )
    return f'<!doctype html><html><meta charset="utf-8"><style>{style}</style><body style="position:relative;height:{PAPER[1]}px;overflow:hidden;padding:{margin}px;box-sizing:border-box">{head}<div style="{columns}">{body}</div>{end}{stamps}</body></html>'


def _text(parts: Components) -> str:
    return f"<p>{html.escape(' '.join(parts.say.sentence(12) for _ in range(parts.rng.randint(2, 6))))}</p>"


def _boxes(parts: Components) -> str:
    """Check boxes as printed forms have them."""
    kind = parts.rng.choice(("checkbox", "checkbox", "radio"))
    items = []
    for _ in range(parts.rng.randint(2, 6)):
        label, named = parts._label(parts.say.pick(CHOICES))
        on = " checked" if parts.chance(0.4) else ""
        items.append(
            f'<div><input type="{kind}"{on} data-kind="{"check box" if kind == "checkbox" else "radio button"}" {named}> {label}</div>'
        )
    return "".join(items)


def _lines(parts: Components) -> str:
    """Fields to be filled in on a ruled line or in a box."""
    rows = []
    boxed = parts.chance(0.4)
    for _ in range(parts.rng.randint(2, 5)):
        label, named = parts._label(parts.say.pick(FIELDS))
        look = "border:1px solid #333;height:26px" if boxed else "border-bottom:1px solid #333;height:22px"
        value = html.escape(parts.say.value()) if parts.chance(0.4) else ""
        rows.append(
            f'<div style="display:flex;gap:8px;align-items:flex-end;margin:8px 0">{label}<span style="flex:1;{look};padding-left:6px" data-kind="text field" {named}>{value}</span></div>'
        )
    return "".join(rows)


def _logo(parts: Components) -> str:
    hue = parts.rng.randrange(360)
    picture, _ = parts.icon(parts.rng.randint(32, 72), "")
    name = html.escape(parts.say.words(1, 1)) if parts.chance(0.6) else ""
    return f'<span data-kind="logo" style="display:inline-flex;gap:8px;align-items:center;color:hsl({hue} {parts.rng.choice((0, 70, 90))}% 35%);font:bold {parts.rng.randint(18, 34)}px sans-serif">{picture}{name}</span>'


def _signature(parts: Components) -> str:
    """A scribble over a line with a name."""
    rng = parts.rng
    width, height = rng.randint(120, 260), rng.randint(40, 80)
    x, y, path = 4.0, height * 0.6, []
    while x < width - 10:
        step = rng.uniform(6, 26)
        ups = rng.uniform(-height * 0.55, height * 0.35)
        path.append(f"q{rng.uniform(-8, 14):.0f} {ups:.0f} {step:.0f} {rng.uniform(-5, 5):.0f}")
        x += step
    ink = rng.choice(("#123", "#1a237e", "#0d2b6b", "#222"))
    drawing = f'<svg width="{width}" height="{height}" style="overflow:visible" data-kind="signature"><path d="M4 {y:.0f}{"".join(path)}" fill="none" stroke="{ink}" stroke-width="{rng.uniform(1.2, 3):.1f}" stroke-linecap="round"/></svg>'
    under = (
        f'<div style="border-top:1px solid #333;font-size:80%">{html.escape(parts.say.name())}</div>'
        if rng.random() < 0.7
        else ""
    )
    return f"<div>{drawing}{under}</div>"


def _stamp(parts: Components) -> str:
    """A rubber stamp, turned and half transparent, anywhere on the page."""
    rng = parts.rng
    ink = rng.choice(("#b71c1c", "#1a3a8f", "#1b5e20", "#4a148c", "#333"))
    text = html.escape(
        rng.choice(
            ("PAID", "RECEIVED", "APPROVED", "COPY", "DRAFT", "CANCELLED", "URGENT", parts.say.words(1, 2).upper())
        )
    )
    turn, size = rng.randint(-35, 35), rng.randint(90, 190)
    place = f"position:absolute;left:{rng.randint(5, 75)}%;top:{rng.randint(5, 85)}%;opacity:{rng.uniform(0.5, 0.95):.2f};transform:rotate({turn}deg)"
    if rng.random() < 0.5:
        around = html.escape((parts.say.name() + " · ").upper() * 2)[:34]
        r = size / 2
        inner = f'<svg width="{size}" height="{size}" viewBox="0 0 {size} {size}"><circle cx="{r}" cy="{r}" r="{r - 3}" fill="none" stroke="{ink}" stroke-width="3"/><circle cx="{r}" cy="{r}" r="{r * 0.62}" fill="none" stroke="{ink}" stroke-width="2"/><path id="c{size}" d="M{r} {r}m-{r * 0.74} 0a{r * 0.74} {r * 0.74} 0 1 1 {r * 1.48} 0a{r * 0.74} {r * 0.74} 0 1 1 -{r * 1.48} 0" fill="none"/><text fill="{ink}" font-size="{size / 10:.0f}"><textPath href="#c{size}" textLength="{math.pi * r * 1.4:.0f}">{around}</textPath></text><text x="50%" y="54%" fill="{ink}" font-weight="bold" font-size="{size / 9:.0f}" text-anchor="middle">{text}</text></svg>'
        return f'<span style="{place};line-height:0" data-kind="stamp">{inner}</span>'
    return f'<span style="{place};border:{rng.randint(2, 5)}px {rng.choice(("solid", "double"))} {ink};color:{ink};padding:6px 14px;font:bold {rng.randint(20, 38)}px sans-serif;border-radius:{rng.choice((0, 6))}px" data-kind="stamp" data-name="{text}">{text}</span>'


def _code(rng: random.Random) -> str:
    """A bar code, or a square one."""
    if rng.random() < 0.5:
        x, bars = 0, []
        while x < 180:
            wide = rng.choice((1, 1, 2, 3, 4))
            bars.append(f'<rect x="{x}" width="{wide}" height="60"/>')
            x += wide + rng.choice((1, 1, 2, 3))
        return f'<svg width="{x}" height="60" data-kind="barcode">{"".join(bars)}</svg>'
    n, cell = rng.choice((21, 25, 29)), rng.randint(3, 6)
    dots = [f"M{c * cell} {r * cell}h{cell}v{cell}h-{cell}z" for r in range(n) for c in range(n) if rng.random() < 0.5]
    eyes = "".join(
        f'<g transform="translate({x * cell} {y * cell})"><rect width="{7 * cell}" height="{7 * cell}"/><rect x="{cell}" y="{cell}" width="{5 * cell}" height="{5 * cell}" fill="#fff"/><rect x="{2 * cell}" y="{2 * cell}" width="{3 * cell}" height="{3 * cell}"/></g>'
        for x, y in ((0, 0), (n - 7, 0), (0, n - 7))
    )
    return f'<svg width="{n * cell}" height="{n * cell}" data-kind="barcode"><path d="{"".join(dots)}"/>{eyes}</svg>'
