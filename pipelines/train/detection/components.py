"""Interface elements as HTML. What is to be found carries ``data-kind``; names go into ``data-name`` and ``data-label``."""

from __future__ import annotations

import html
import random
from collections.abc import Sequence
from itertools import count

from pipelines.train.detection.content import ACTIONS, BADGES, CHOICES, FIELDS, PLACES, SLIDERS, Content
from pipelines.train.detection.drawings import Drawing
from pipelines.train.detection.kits import Kit


class Components:
    """Draws elements of one kit with the texts of one page."""

    def __init__(
        self, rng: random.Random, kit: Kit, content: Content, icons: Sequence[Drawing], pictures: Sequence[Drawing]
    ) -> None:
        self.rng, self.kit, self.say = rng, kit, content
        self._icons, self._pictures = icons, pictures
        self._ids = count()

    # -- small parts ---------------------------------------------------------------------------------------------------

    def classes(self, *elements: str) -> str:
        """The class attribute of the first element that the kit names."""
        for element in elements:
            if element in self.kit.classes:
                return f' class="{self.kit.classes[element]}"' if self.kit.classes[element] else ""
        return ""

    def chance(self, share: float) -> bool:
        """True in this share of calls."""
        return self.rng.random() < share

    def icon(self, size: int | None = None, kind: str = "icon") -> tuple[str, str]:
        """Mark-up and name of an icon; ``kind`` "" leaves it out of what is to be found."""
        drawing = self.rng.choice(self._icons)
        size = size or self.rng.choice((14, 16, 16, 18, 20, 20, 24, 24, 28, 32))
        name = html.escape(drawing.names[0])
        mark = f'data-kind="{kind}" data-icon="{name}"' if kind else ""
        return f'<span class="i" style="width:{size}px;height:{size}px" {mark}>{drawing.svg}</span>', name

    def button(self, text: str | None = None) -> str:
        """A button with text, with an icon, or with both."""
        look = self.rng.choices(("button.primary", "button", "button.outline", "button.danger"), (5, 4, 2, 1))[0]
        cls = self.classes(look, "button")
        shape = self.rng.random()
        tag, extra = ("a", ' href="#" role="button"') if self.chance(0.15) and cls else ("button", ' type="button"')
        if shape < 0.22 and text is None:
            picture, name = self.icon(kind="")
            return f'<{tag}{extra}{cls} data-kind="button" data-icon="{name}" data-name="">{picture}</{tag}>'
        label = html.escape(text or self.say.pick(ACTIONS))
        if shape < 0.42:
            picture, _ = self.icon(self.rng.choice((14, 16, 18, 20)))
            inner = f"{picture} {label}" if self.chance(0.7) else f"{label} {picture}"
        else:
            inner = label
        disabled = " disabled" if self.chance(0.05) and tag == "button" else ""
        return f'<{tag}{extra}{cls}{disabled} data-kind="button" data-name="{label}">{inner}</{tag}>'

    def icon_button(self) -> str:
        """A button that shows only an icon, as toolbars have them."""
        picture, name = self.icon(kind="")
        cls = self.classes("button.outline", "button") if self.chance(0.4) else ' class="bare"'
        return f'<button type="button"{cls} data-kind="button" data-icon="{name}" data-name="">{picture}</button>'

    def link(self, text: str | None = None) -> str:
        """A text link."""
        label = html.escape(text or (self.say.pick(PLACES) if self.chance(0.6) else self.say.words(1, 4)))
        return f'<a href="#" data-kind="link" data-name="{label}">{label}</a>'

    def badge(self) -> str:
        """A small label."""
        text = html.escape(self.say.pick(BADGES))
        return f'<span{self.classes("badge") or " class=badge0"} data-kind="badge" data-name="{text}">{text}</span>'

    def avatar(self) -> str:
        """A round picture of a person, or initials."""
        size = self.rng.choice((24, 28, 32, 36, 40, 48, 64))
        hue = self.rng.randrange(360)
        inner = html.escape(self.say.name()[:1]) if self.chance(0.5) else self.rng.choice(self._pictures).svg
        style = f"width:{size}px;height:{size}px;background:hsl({hue} 50% {self.rng.randint(40, 85)}%);font-size:{size // 2}px"
        return f'<span class="avatar" style="{style}" data-kind="avatar">{inner}</span>'

    def image(self, width: str = "100%", height: int | None = None) -> str:
        """A picture: drawings over a gradient."""
        height = height or self.rng.choice((80, 120, 160, 200, 260))
        a, b = (f"hsl({self.rng.randrange(360)} {self.rng.randint(10, 80)}% {self.rng.randint(25, 85)}%)" for _ in "ab")
        shapes = []
        for _ in range(self.rng.randint(1, 4)):
            size, x, y = self.rng.randint(20, 90), self.rng.randint(-10, 80), self.rng.randint(-10, 70)
            shapes.append(
                f'<span style="position:absolute;left:{x}%;top:{y}%;height:{size}%;aspect-ratio:1">{self.rng.choice(self._pictures).svg}</span>'
            )
        ground = f"linear-gradient({self.rng.randrange(360)}deg,{a},{b})"
        style = f"position:relative;overflow:hidden;display:block;width:{width};height:{height}px;background:{ground}"
        return f'<div class="pic" style="{style}" data-kind="image">{"".join(shapes)}</div>'

    def text(self, words: int = 14) -> str:
        """A paragraph, sometimes with a link in it."""
        link = f" {self.link()} " if self.chance(0.2) else " "
        return f"<p>{html.escape(self.say.sentence(words))}{link}{html.escape(self.say.sentence(words))}</p>"

    def heading(self, level: int | None = None) -> str:
        """A heading."""
        level = level or self.rng.choice((1, 2, 3, 3, 4))
        text = html.escape(self.say.pick(PLACES) if self.chance(0.5) else self.say.words(2, 5))
        return f'<h{level}><span data-kind="heading" data-name="{text}">{text}</span></h{level}>'

    # -- fields --------------------------------------------------------------------------------------------------------

    def _label(self, text: str) -> tuple[str, str]:
        """Mark-up of a label and the attribute that names a field by it."""
        number = f"n{next(self._ids)}"
        star = ' <b style="color:#c33">*</b>' if self.chance(0.1) else ""
        colon = ":" if self.chance(0.15) else ""
        inner = f'<span id="{number}">{html.escape(text)}{colon}</span>{star}'
        return inner, f'data-label="{number}" data-name="{html.escape(text)}"'

    def field(self) -> str:
        """A labelled field: the label above, to the left, or inside as a placeholder."""
        kind = self.rng.choices(("text field", "dropdown", "text area", "slider"), (6, 3, 1, 1.2))[0]
        label, named = self._label(self.say.pick(SLIDERS if kind == "slider" else FIELDS))
        filled = self.chance(0.45)
        value = html.escape(self.say.value()) if filled else ""
        hint = html.escape(self.say.words(1, 3)) if self.chance(0.4) else ""
        if kind == "text field":
            types = self.rng.choice(("text", "text", "email", "password", "date", "number", "tel"))
            typed = value if types in ("text", "email", "tel", "password") else ""
            control = f'<input type="{types}"{self.classes("input")} value="{typed}" placeholder="{hint}" data-kind="text field" {named}>'
        elif kind == "text area":
            control = f'<textarea rows="{self.rng.randint(2, 5)}"{self.classes("textarea")} placeholder="{hint}" data-kind="text area" {named}>{value}</textarea>'
        elif kind == "dropdown":
            control = self._select(named)
        else:
            control = f'<input type="range" value="{self.rng.randint(0, 100)}"{self.classes("range")} data-kind="slider" {named}>'
        note = f"<small>{html.escape(self.say.sentence(6))}</small>" if self.chance(0.12) else ""
        side = self.chance(0.25)
        cls = self.classes("field") or ' class="field0"'
        if side:
            return f'<div{cls} style="display:flex;gap:12px;align-items:center"><label style="flex:0 0 {self.rng.randint(90, 190)}px;text-align:{self.rng.choice(("left", "right"))}">{label}</label><div style="flex:1">{control}</div></div>'
        return f"<div{cls}><label{self.classes('label')}>{label}</label>{control}{note}</div>"

    def _select(self, named: str) -> str:
        options = "".join(f"<option>{html.escape(self.say.words(1, 2))}</option>" for _ in range(3))
        control = f'<select{self.classes("select")} data-kind="dropdown" {named}>{options}</select>'
        return f"<div{self.classes('select.box')}>{control}</div>" if "select.box" in self.kit.classes else control

    def search(self) -> str:
        """A search field, usually with a magnifying glass or a button."""
        hint = html.escape(
            self.rng.choice(
                (
                    "Search",
                    "Search…",
                    "Search products",
                    "Find",
                    "Filter",
                    "Type to search",
                    "Suche",
                    "Rechercher",
                    "Buscar",
                )
            )
        )
        kind = "text" if self.chance(0.5) else "search"
        control = f'<input type="{kind}" placeholder="{hint}"{self.classes("input")} data-kind="search field" data-name="{hint}" style="width:{self.rng.randint(140, 320)}px;display:inline-block">'
        button = self.button("Search") if self.chance(0.3) else ""
        return f'<span style="display:inline-flex;gap:4px;align-items:center">{control}{button}</span>'

    def choice(self, kind: str | None = None, group: str = "") -> str:
        """A check box, a radio button or a switch with the text beside it."""
        kind = kind or self.rng.choices(("check box", "radio button", "switch"), (4, 2, 2))[0]
        label, named = self._label(self.say.pick(CHOICES))
        on = " checked" if self.chance(0.45) else ""
        plain = kind == "switch" and "switch.box" not in self.kit.classes
        if plain:
            switch = f'<span class="sw{" on" if on else ""}" role="switch" data-kind="switch" {named}><i></i></span>'
            order = (switch, f" {label}") if self.chance(0.5) else (f'<span style="flex:1">{label}</span>', switch)
            return f'<div style="display:flex;gap:10px;align-items:center;margin:6px 0;max-width:{self.rng.randint(180, 420)}px">{"".join(order)}</div>'
        key = {"check box": "check", "radio button": "radio", "switch": "switch"}[kind]
        kit_type = "radio" if kind == "radio button" else "checkbox"
        mark = f'data-kind="{kind}" {named}'
        if self.kit.hidden_inputs == "icon":
            return f'<label{self.classes(f"{key}.box", "check.box")}><input type="{kit_type}" name="{group}"{on}><i class="form-icon" {mark}></i> {label}</label>'
        control = f'<input type="{kit_type}" name="{group}"{on}{self.classes(key)} {mark}{" role=switch" if kind == "switch" else ""}>'
        if self.kit.hidden_inputs == "before":
            return f"<p><label>{control}<span>{label}</span></label></p>"
        if self.kit.classes.get(f"{key}.box", self.kit.classes.get("check.box", "")).startswith("form-check"):
            return f'<div{self.classes(f"{key}.box", "check.box")}>{control}<label class="form-check-label">{label}</label></div>'
        return f'<div style="margin:4px 0"><label{self.classes("check.box")}>{control} {label}</label></div>'

    def choices(self) -> str:
        """A group of check boxes, radio buttons or switches under each other, or side by side."""
        kind = self.rng.choice(("check box", "check box", "radio button", "switch"))
        items = [self.choice(kind, f"g{next(self._ids)}") for _ in range(self.rng.randint(2, 5))]
        side = "display:flex;gap:20px;flex-wrap:wrap" if self.chance(0.25) else ""
        return f'<div style="{side}">{"".join(items)}</div>'

    # -- groups --------------------------------------------------------------------------------------------------------

    def tabs(self) -> str:
        """A row of tabs."""
        active, items = self.rng.randrange(3), []
        for number in range(self.rng.randint(3, 5)):
            text = html.escape(self.say.pick(PLACES))
            picture = self.icon(16)[0] + " " if self.chance(0.15) else ""
            cls = self.classes("tab.active" if number == active else "tab", "tab") or (
                ' class="t on"' if number == active else ' class="t"'
            )
            on = self.classes("tab.item.active", "tab.item") if number == active else self.classes("tab.item")
            items.append(
                f'<li{on} style="list-style:none"><a href="#"{cls} role="tab" data-kind="tab" data-name="{text}">{picture}{text}</a></li>'
            )
        return f'<ul{self.classes("tabs") or " class=tabs0"} role="tablist">{"".join(items)}</ul>'

    def menu(self) -> str:
        """A menu of entries under each other."""
        items, pictures = [], self.chance(0.5)
        for number in range(self.rng.randint(3, 8)):
            text = html.escape(self.say.pick(PLACES))
            picture = self.icon(self.rng.choice((16, 18, 20)))[0] + " " if pictures else ""
            badge = " " + self.badge() if self.chance(0.12) else ""
            on = " on" if number == 1 else ""
            cls = self.classes("menu.item") or f' class="m{on}"'
            items.append(
                f'<li{self.classes("menu.li")} style="list-style:none"><a href="#"{cls} role="menuitem" data-kind="menu item" data-name="{text}">{picture}{text}{badge}</a></li>'
            )
        return f'<ul{self.classes("menu") or " class=menu0"} role="menu">{"".join(items)}</ul>'

    def toolbar(self) -> str:
        """Icon buttons in a row."""
        return f'<div class="bar">{"".join(self.icon_button() for _ in range(self.rng.randint(3, 10)))}</div>'

    def buttons(self) -> str:
        """A few buttons in a row."""
        return f'<div class="bar">{"".join(self.button() for _ in range(self.rng.randint(1, 4)))}</div>'

    def table(self) -> str:
        """A table of values, sometimes with check boxes, badges and actions."""
        columns, rows = self.rng.randint(3, 6), self.rng.randint(3, 8)
        actions, checks = self.chance(0.4), self.chance(0.25)
        head = "".join(f"<th>{html.escape(self.say.pick(FIELDS))}</th>" for _ in range(columns))
        body = []
        for _ in range(rows):
            cells = [
                f"<td>{html.escape(self.say.figure() if self.chance(0.5) else self.say.words(1, 2))}</td>"
                for _ in range(columns - 1)
            ]
            cells.append(f"<td>{self.badge() if self.chance(0.5) else html.escape(self.say.figure())}</td>")
            if actions:
                cells.append(f"<td>{self.icon_button() if self.chance(0.5) else self.link()}</td>")
            if checks and not self.kit.hidden_inputs:
                cells.insert(
                    0, f'<td><input type="checkbox"{self.classes("check")} data-kind="check box" data-name=""></td>'
                )
            body.append(f"<tr>{''.join(cells)}</tr>")
        extra = ("<th></th>" if checks and not self.kit.hidden_inputs else "", "<th></th>" if actions else "")
        return f'<table{self.classes("table")} data-kind="table"><thead><tr>{extra[0]}{head}{extra[1]}</tr></thead><tbody>{"".join(body)}</tbody></table>'

    def progress(self) -> str:
        """A progress bar."""
        share = self.rng.randint(5, 95)
        if "progress" in self.kit.classes:
            bar = f'<div{self.classes("progress.bar")} style="width:{share}%"></div>'
            return f'<div{self.classes("progress")} data-kind="progress bar" style="margin:10px 0">{bar}</div>'
        return f'<div style="margin:10px 0"><progress value="{share}" max="100"{self.classes("progress.native")} data-kind="progress bar" style="width:100%"></progress></div>'

    def chart(self, width: int, height: int) -> str:
        """Bars, a line or a pie, as a figure."""
        kind, hue = self.rng.choice(("bars", "line", "pie")), self.rng.randrange(360)
        values = [self.rng.uniform(0.1, 1) for _ in range(self.rng.randint(4, 12))]
        step = width / len(values)
        if kind == "bars":
            inner = "".join(
                f'<rect x="{n * step + 4:.0f}" y="{height - v * height:.0f}" width="{step - 8:.0f}" height="{v * height:.0f}" fill="hsl({hue + n * 9} 60% 50%)"/>'
                for n, v in enumerate(values)
            )
        elif kind == "line":
            points = " ".join(f"{n * step:.0f},{height - v * height:.0f}" for n, v in enumerate(values))
            inner = f'<polyline points="{points}" fill="none" stroke="hsl({hue} 60% 45%)" stroke-width="3"/><path d="M0 0V{height}H{width}" fill="none" stroke="#888"/>'
        else:
            r = min(width, height) / 2
            inner = f'<circle cx="{r}" cy="{r}" r="{r}" fill="hsl({hue} 60% 60%)"/>' + "".join(
                f'<path d="M{r} {r}L{r + r * 0.98} {r}A{r} {r} 0 0 1 {r} {2 * r}Z" fill="hsl({hue + 70 * n} 60% 50%)" transform="rotate({120 * n} {r} {r})"/>'
                for n in range(2)
            )
        return f'<svg width="{width}" height="{height}" data-kind="figure" data-name="chart">{inner}</svg>'
