"""Looks of our own: random colours, shapes and controls, for pages without a kit and for what kits leave plain."""

from __future__ import annotations

import random

FONTS = (
    "DejaVu Sans", "Liberation Sans", "Noto Sans", "Open Sans", "Roboto", "Lato", "Inter", "Ubuntu", "Cantarell", "Fira Sans", "sans-serif",
    "DejaVu Serif", "Liberation Serif", "serif", "monospace", "Noto Sans CJK JP", "Arial", "Verdana",
)  # fmt: skip

COMMON = """
.i{display:inline-block;vertical-align:middle;line-height:0}.i svg,.avatar svg,.pic svg{width:100%;height:100%;display:block}
.avatar{display:inline-flex;align-items:center;justify-content:center;border-radius:50%;overflow:hidden;color:#fff;vertical-align:middle}
.bar{display:flex;flex-wrap:wrap;gap:var(--gap);align-items:center;margin:8px 0}.field0{margin:var(--gap) 0}
.bare{background:none!important;border:0;padding:var(--pad);color:inherit;cursor:pointer;margin:0;min-width:0;width:auto;line-height:1;box-shadow:none}
.sw{display:inline-block;width:var(--sw);height:calc(var(--sw)*.55);border-radius:99px;background:#9aa3ad;position:relative;flex:none}
.sw i{position:absolute;top:2px;bottom:2px;left:2px;aspect-ratio:1;border-radius:50%;background:#fff}
.sw.on{background:var(--accent)}.sw.on i{left:auto;right:2px}
.menu0,.tabs0{padding:0;margin:0}.tabs0{display:flex;gap:var(--gap)}.m,.t{display:block;padding:calc(var(--pad) + 2px) 12px;text-decoration:none;color:inherit}
.m.on{background:color-mix(in srgb,var(--accent) 18%,transparent)}.t.on{border-bottom:2px solid var(--accent)}
.badge0{background:var(--accent);color:#fff;border-radius:9px;padding:1px 7px;font-size:80%}
.card0{border:1px solid #8884;border-radius:var(--round);padding:14px;margin:8px 0}
body{margin:0}
"""


def theme(rng: random.Random, own: bool) -> str:
    """A stylesheet. ``own`` also dresses the browser's plain controls; otherwise only fonts and gaps vary."""
    hue, dark = rng.randrange(360), rng.random() < (0.35 if own else 0.0)
    accent = f"hsl({hue} {rng.randint(40, 95)}% {rng.randint(35, 55)}%)"
    root = f":root{{--gap:{rng.randint(4, 18)}px;--pad:{rng.randint(2, 10)}px;--sw:{rng.randint(26, 52)}px;--accent:{accent};--round:{rng.choice((0, 2, 4, 6, 8, 12, 20))}px}}"
    font = (
        f"body,button,input,select,textarea{{font-family:'{rng.choice(FONTS)}',sans-serif}}"
        if rng.random() < 0.6
        else ""
    )
    if not own:
        return root + COMMON + font
    paper = (
        f"hsl({hue} {rng.randint(0, 30)}% {rng.randint(8, 20)}%)"
        if dark
        else f"hsl({rng.randrange(360)} {rng.randint(0, 40)}% {rng.randint(93, 100)}%)"
    )
    ink, edge = ("#e6e8ea", "#667") if dark else ("#20242a", rng.choice(("#aab", "#ccc", "#888", "#333")))
    field = rng.choice(("transparent", "#8881", "#fff" if not dark else "#0003"))
    line = rng.choice(("1px solid", "1px solid", "2px solid", "0 solid"))
    under = line.startswith("0")
    pad_y, pad_x = rng.randint(3, 14), rng.randint(6, 26)
    size = rng.randint(12, 18)
    check = rng.randint(13, 22)
    shape = rng.choice(("50%", "var(--round)", "3px", "0"))
    css = f"""
body{{background:{paper};color:{ink};font-size:{size}px;line-height:{rng.uniform(1.2, 1.7):.2f}}}
button,[role=button]{{font-size:inherit;padding:{pad_y}px {pad_x}px;border-radius:var(--round);border:{line} {edge};background:{rng.choice(("#8882", "transparent", accent, paper))};color:inherit;display:inline-block;text-decoration:none;{rng.choice(("", "text-transform:uppercase;letter-spacing:.05em", "font-weight:600", "box-shadow:0 1px 4px #0005"))}}}
button:nth-of-type(odd){{background:var(--accent);color:#fff}}
input:not([type=checkbox],[type=radio],[type=range]),select,textarea{{font-size:inherit;padding:{rng.randint(3, 12)}px {rng.randint(5, 14)}px;border:{line} {edge};{f"border-bottom:2px solid {edge};" if under else ""}border-radius:{"0" if under else "var(--round)"};background:{field};color:inherit;width:100%;box-sizing:border-box}}
label{{display:{rng.choice(("block", "inline-block"))};{rng.choice(("", "font-weight:600", "font-size:85%", "color:#888", "text-transform:uppercase;font-size:75%"))}}}
a{{color:{accent};{rng.choice(("", "text-decoration:none", "font-weight:600"))}}}
table{{border-collapse:collapse;width:100%}}td,th{{padding:{rng.randint(3, 12)}px 10px;{rng.choice(("border:1px solid #8885", "border-bottom:1px solid #8885", ""))};text-align:left}}
.card0{{{rng.choice(("", "box-shadow:0 2px 10px #0003;border:0", "background:#8881"))}}}
.m{{border-radius:var(--round)}}.t.on{{{rng.choice(("", "background:#8883;border:0", "border:1px solid #8886;border-bottom:0", "background:var(--accent);color:#fff;border-radius:99px;border:0"))}}}
"""
    if rng.random() < 0.5:  # check boxes and radio buttons drawn by the page
        css += f"""
input[type=checkbox],input[type=radio]{{appearance:none;width:{check}px;height:{check}px;border:{rng.choice((1, 2))}px solid {edge};border-radius:3px;vertical-align:middle;margin:2px 6px 2px 0;background:{field}}}
input[type=radio]{{border-radius:50%}}input[type=checkbox]:checked{{background:{accent} url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M3 8l3 3 7-7' stroke='white' stroke-width='2' fill='none'/%3E%3C/svg%3E") center/cover}}
input[type=radio]:checked{{background:radial-gradient({accent} 45%,transparent 50%)}}
"""
    if rng.random() < 0.5:  # sliders too
        track, thumb = rng.randint(2, 10), rng.randint(12, 24)
        css += f"""
input[type=range]{{appearance:none;width:100%;height:{thumb}px;background:none}}
input[type=range]::-webkit-slider-runnable-track{{height:{track}px;border-radius:9px;background:{rng.choice(("#8886", accent))}}}
input[type=range]::-webkit-slider-thumb{{appearance:none;width:{thumb}px;height:{thumb}px;margin-top:{(track - thumb) // 2}px;border-radius:{shape};background:{rng.choice((accent, "#fff", "#555"))};border:1px solid #8888}}
"""
    else:
        css += "input[type=range]{width:100%}"
    if rng.random() < 0.5:
        css += f"select{{appearance:none;background:{field} url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M4 6l4 4 4-4' stroke='gray' stroke-width='{rng.choice((1, 2))}' fill='none'/%3E%3C/svg%3E\") no-repeat right 8px center/16px}}"
    return root + COMMON + font + css
