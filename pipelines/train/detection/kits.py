"""UI kits: the stylesheet, and which classes and mark-up each element takes in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kit:
    """A stylesheet and the classes of its elements; an element that is not named takes none.

    ``hidden_inputs`` says how check boxes and radio buttons are drawn: by the input itself (""), by what stands before
    the text of the following element ("before"), or by an element of its own ("icon").
    """

    name: str
    css: str  # glob under the packages folder; "" for none
    classes: dict[str, str] = field(default_factory=dict)
    hidden_inputs: str = ""
    held_out: bool = False
    later: bool = False  # read once, after all rules of the detector were made

    def style(self, packages: Path) -> str:
        """The stylesheet's text."""
        if not self.css:
            return ""
        found = sorted(packages.glob(self.css))
        if not found:
            raise FileNotFoundError(f"no {self.css} under {packages}: unpack the packages that docs/detection.md lists")
        return found[0].read_text("utf-8").replace("</style", "")


KITS = (
    Kit("bootstrap", "bootstrap-[0-9]*/dist/css/bootstrap.min.css", {
        "button": "btn btn-secondary", "button.primary": "btn btn-primary", "button.outline": "btn btn-outline-primary",
        "button.danger": "btn btn-danger", "input": "form-control", "select": "form-select", "textarea": "form-control",
        "check": "form-check-input", "radio": "form-check-input", "range": "form-range", "switch": "form-check-input",
        "switch.box": "form-check form-switch", "check.box": "form-check", "label": "form-label", "nav": "navbar bg-body-tertiary px-3",
        "tabs": "nav nav-tabs", "tab": "nav-link", "tab.active": "nav-link active", "menu": "list-group",
        "menu.item": "list-group-item list-group-item-action", "badge": "badge text-bg-primary", "card": "card",
        "card.body": "card-body", "table": "table table-striped", "progress": "progress", "progress.bar": "progress-bar",
        "field": "mb-3", "alert": "alert alert-warning", "group": "btn-group",
    }),
    Kit("bulma", "bulma-*/css/bulma.min.css", {
        "button": "button", "button.primary": "button is-primary", "button.outline": "button is-link is-outlined",
        "button.danger": "button is-danger", "input": "input", "select": "", "select.box": "select", "textarea": "textarea",
        "label": "label", "nav": "navbar p-3", "tabs": "tabs", "tab.item.active": "is-active", "menu": "menu-list", "menu.item": "", "badge": "tag is-info",
        "card": "card", "card.body": "card-content", "table": "table is-fullwidth", "field": "field", "alert": "notification is-warning",
        "check.box": "checkbox", "progress.native": "progress is-primary", "group": "buttons has-addons",
    }),
    Kit("pico", "picocss-pico-*/css/pico.min.css", {"button.primary": "", "button.outline": "outline", "button.danger": "contrast", "button": "secondary"}),
    Kit("semantic", "semantic-ui-css-*/semantic.min.css", {
        "button": "ui button", "button.primary": "ui primary button", "button.outline": "ui basic button", "button.danger": "ui red button",
        "field": "field", "form": "ui form", "nav": "ui menu", "nav.item": "item", "tabs": "ui tabular menu", "tab": "item", "tab.active": "item active",
        "menu": "ui vertical menu", "menu.item": "item", "badge": "ui label", "card": "ui segment", "table": "ui celled table",
        "alert": "ui message", "select": "ui dropdown", "group": "ui buttons",
    }),
    Kit("uikit", "uikit-*/dist/css/uikit.min.css", {
        "button": "uk-button uk-button-default", "button.primary": "uk-button uk-button-primary", "button.outline": "uk-button uk-button-secondary",
        "button.danger": "uk-button uk-button-danger", "input": "uk-input", "select": "uk-select", "textarea": "uk-textarea", "check": "uk-checkbox",
        "radio": "uk-radio", "range": "uk-range", "label": "uk-form-label", "field": "uk-margin", "nav": "uk-navbar-container uk-padding-small",
        "tabs": "uk-tab", "tab.item.active": "uk-active", "menu": "uk-nav uk-nav-default", "badge": "uk-badge", "card": "uk-card uk-card-default",
        "card.body": "uk-card-body", "table": "uk-table uk-table-divider", "progress.native": "uk-progress", "alert": "uk-alert uk-alert-warning",
    }),
    Kit("materialize", "materialize-css-*/dist/css/materialize.min.css", {
        "button": "btn grey", "button.primary": "btn waves-effect", "button.outline": "btn-flat", "button.danger": "btn red", "select": "browser-default",
        "textarea": "materialize-textarea", "nav": "z-depth-1", "menu": "collection", "menu.item": "collection-item", "badge": "chip", "card": "card",
        "card.body": "card-content", "table": "striped", "field": "", "progress": "progress", "progress.bar": "determinate", "tabs": "tabs", "tab.item": "tab",
        "nav.tag": "div",
    }, hidden_inputs="before"),
    Kit("foundation", "foundation-sites-*/dist/css/foundation.min.css", {
        "button": "button secondary", "button.primary": "button", "button.outline": "button hollow", "button.danger": "button alert", "nav": "top-bar",
        "tabs": "tabs", "tab.item": "tabs-title", "tab.item.active": "tabs-title is-active", "menu": "menu vertical", "badge": "label", "card": "card",
        "card.body": "card-section", "table": "hover", "progress": "progress", "progress.bar": "progress-meter", "alert": "callout warning", "group": "button-group",
    }),
    Kit("milligram", "milligram-*/dist/milligram.min.css", {"button": "button button-outline", "button.primary": "button", "button.outline": "button button-clear"}),
    Kit("water", "water.css-*/out/light.min.css"),
    Kit("water-dark", "water.css-*/out/dark.min.css"),
    Kit("pure", "purecss-*/build/pure-min.css", {
        "button": "pure-button", "button.primary": "pure-button pure-button-primary", "form": "pure-form pure-form-stacked", "menu": "pure-menu-list",
        "menu.item": "pure-menu-link", "table": "pure-table",
    }),
    Kit("plain", ""),
    Kit("own", ""),  # the browser's own look with a random theme, see themes.py
    Kit("own", ""),
    Kit("own", ""),
    Kit("own", ""),
    Kit("spectre", "spectre.css-*/dist/spectre.min.css", {
        "button": "btn", "button.primary": "btn btn-primary", "button.outline": "btn btn-link", "button.danger": "btn btn-error", "input": "form-input",
        "select": "form-select", "textarea": "form-input", "label": "form-label", "field": "form-group", "range": "slider", "tabs": "tab",
        "tab.item": "tab-item", "tab.item.active": "tab-item active", "menu": "menu", "menu.li": "menu-item", "badge": "chip", "card": "card", "card.body": "card-body",
        "table": "table table-striped", "progress.native": "progress", "alert": "toast toast-warning", "check.box": "form-checkbox", "radio.box": "form-radio",
        "switch.box": "form-switch", "nav": "navbar p-2", "group": "btn-group",
    }, hidden_inputs="icon", held_out=True),
    Kit("primer", "primer-css-*/dist/primer.css", {
        "button": "btn", "button.primary": "btn btn-primary", "button.outline": "btn btn-outline", "button.danger": "btn btn-danger", "input": "form-control",
        "select": "form-select", "textarea": "form-control", "field": "form-group", "tabs": "tabnav-tabs d-flex", "tab": "tabnav-tab", "tab.active": "tabnav-tab selected",
        "menu": "menu", "menu.item": "menu-item", "badge": "Label", "card": "Box", "card.body": "Box-body", "alert": "flash flash-warn", "nav": "Header",
        "group": "BtnGroup",
    }, held_out=True),
    Kit("daisy", "daisyui-*/daisyui.css", {
        "button": "btn", "button.primary": "btn btn-primary", "button.outline": "btn btn-outline", "button.danger": "btn btn-error", "input": "input",
        "select": "select", "textarea": "textarea", "check": "checkbox", "radio": "radio", "range": "range", "switch": "toggle", "switch.box": "label",
        "label": "label", "field": "fieldset", "nav": "navbar bg-base-200", "tabs": "tabs tabs-border", "tab": "tab", "tab.active": "tab tab-active",
        "menu": "menu bg-base-200", "badge": "badge badge-primary", "card": "card card-border bg-base-100", "card.body": "card-body", "table": "table",
        "progress.native": "progress progress-primary", "alert": "alert alert-warning", "group": "join",
    }, held_out=True, later=True),
    Kit("chota", "chota-*/dist/chota.min.css", {
        "button": "button", "button.primary": "button primary", "button.outline": "button outline", "button.danger": "button error", "nav": "nav",
        "tabs": "tabs", "tab.active": "active", "badge": "tag is-small", "card": "card", "table": "striped", "alert": "card",
    }, held_out=True, later=True),
)  # fmt: skip
