"""What generated pages say: labels, actions, names and sentences in several languages."""

from __future__ import annotations

import random

from faker import Faker

LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "nl_NL", "pl_PL", "sv_SE", "tr_TR", "ru_RU", "ja_JP", "zh_CN")  # fmt: skip
_ENGLISH = 0.6

FIELDS = (
    "Email", "First name", "Last name", "Full name", "Phone number", "Company", "Address", "City", "Postal code", "Country", "Password",
    "Confirm password", "User name", "Date of birth", "Start date", "End date", "Amount", "Quantity", "Price", "Discount", "Notes", "Message",
    "Subject", "Department", "Job title", "Website", "Language", "Time zone", "Currency", "Account number", "Card number", "Expiry date",
    "Security code", "Delivery date", "Reference", "Order number", "Category", "Priority", "Status", "Assigned to", "Description", "Comments",
    "Budget", "Project", "Team", "Role", "Location", "Weight", "Height", "Width", "Opening hours", "Invoice number", "Tax number", "Reason",
)  # fmt: skip
CHOICES = (
    "Remember me", "Keep me signed in", "I agree to the terms", "Subscribe to the newsletter", "Send a copy", "Make it public", "Express delivery",
    "Standard delivery", "Pay by card", "Pay by invoice", "Notify by email", "Notify by phone", "Dark mode", "Enable sync", "Show hidden files",
    "Use two-factor sign-in", "Auto save", "Compact view", "Monthly", "Yearly", "Male", "Female", "Other", "Small", "Medium", "Large", "Gift wrap",
    "Share my location", "Include archived", "Only mine", "All projects", "Ask every time", "Never", "Always", "Wi-Fi", "Bluetooth", "Airplane mode",
)  # fmt: skip
SLIDERS = (
    "Volume",
    "Brightness",
    "Zoom",
    "Contrast",
    "Speed",
    "Opacity",
    "Price range",
    "Distance",
    "Quality",
    "Font size",
    "Bass",
    "Balance",
)
ACTIONS = (
    "Save", "Cancel", "Delete", "Submit", "Send", "Continue", "Back", "Next", "Sign in", "Sign up", "Log out", "Search", "Apply", "Reset", "Edit",
    "Add item", "Add to cart", "Buy now", "Download", "Upload", "Share", "Export", "Import", "Print", "Refresh", "Close", "Open", "Create account",
    "Learn more", "View details", "New project", "Invite", "Pay now", "Book", "Reply", "Forward", "Archive", "Accept", "Decline", "Get started",
    "Update", "Filter", "Copy link", "Try again", "Contact us", "Start trial", "Upgrade", "Done", "OK", "Skip", "Publish", "Preview",
)  # fmt: skip
PLACES = (
    "Home", "Dashboard", "Settings", "Profile", "Messages", "Notifications", "Reports", "Analytics", "Orders", "Customers", "Products", "Invoices",
    "Calendar", "Tasks", "Files", "Team", "Billing", "Help", "About", "Contact", "Pricing", "Blog", "Documentation", "Features", "Support", "Users",
    "Inbox", "Drafts", "Sent", "Trash", "Overview", "Activity", "Security", "Privacy", "Integrations", "General", "Account", "History", "Projects",
)  # fmt: skip
BADGES = (
    "New",
    "Beta",
    "Active",
    "Pending",
    "Paid",
    "Overdue",
    "Draft",
    "3",
    "12",
    "99+",
    "Sale",
    "Pro",
    "Online",
    "Closed",
    "Open",
    "Urgent",
)
_OTHER = {
    "de": (("Speichern", "Abbrechen", "Löschen", "Senden", "Weiter", "Zurück", "Anmelden", "Suchen", "Bearbeiten", "Hinzufügen", "Herunterladen"),
           ("E-Mail", "Vorname", "Nachname", "Telefon", "Straße", "Ort", "Postleitzahl", "Passwort", "Betreff", "Nachricht", "Geburtsdatum", "Menge")),
    "fr": (("Enregistrer", "Annuler", "Supprimer", "Envoyer", "Suivant", "Retour", "Se connecter", "Rechercher", "Modifier", "Ajouter", "Télécharger"),
           ("Courriel", "Prénom", "Nom", "Téléphone", "Adresse", "Ville", "Code postal", "Mot de passe", "Objet", "Message", "Date", "Quantité")),
    "es": (("Guardar", "Cancelar", "Eliminar", "Enviar", "Siguiente", "Volver", "Iniciar sesión", "Buscar", "Editar", "Añadir", "Descargar"),
           ("Correo", "Nombre", "Apellidos", "Teléfono", "Dirección", "Ciudad", "Código postal", "Contraseña", "Asunto", "Mensaje", "Fecha", "Cantidad")),
}  # fmt: skip


class Content:
    """Texts of one page, in one language. ``pick`` never repeats within a page while there are others."""

    def __init__(self, rng: random.Random, locale: str | None = None) -> None:
        self.rng = rng
        self.locale = locale or ("en_US" if rng.random() < _ENGLISH else rng.choice(LOCALES))
        self._faker = Faker(self.locale)
        self._faker.seed_instance(rng.getrandbits(32))
        self._used: set[str] = set()

    def pick(self, among: tuple[str, ...]) -> str:
        """One of these, or words of the page's language in its place."""
        other = _OTHER.get(self.locale[:2])
        if among is ACTIONS and other:
            among = other[0]
        elif among is FIELDS and other:
            among = other[1]
        elif not self.locale.startswith("en") and self.rng.random() < 0.7:
            return self.words(1, 2)
        elif self.rng.random() < 0.12:
            return self.words(1, 3)
        free = [text for text in among if text not in self._used]
        text = self.rng.choice(free or list(among))
        self._used.add(text)
        return text

    def words(self, least: int, most: int) -> str:
        """A few words, capitalised."""
        return str(" ".join(self._faker.words(self.rng.randint(least, most)))).capitalize()

    def sentence(self, words: int = 10) -> str:
        """A sentence."""
        return str(self._faker.sentence(max(2, int(words * self.rng.uniform(0.6, 1.4)))))

    def name(self) -> str:
        """A person."""
        return str(self._faker.name())

    def value(self) -> str:
        """What someone may have typed."""
        makers = (
            self._faker.email,
            self._faker.city,
            self._faker.phone_number,
            self._faker.date,
            self.name,
            self._faker.company,
        )
        return str(self.rng.choice(makers)()) if self.rng.random() < 0.8 else str(self.rng.randint(1, 9999))

    def figure(self) -> str:
        """A number as tables show it."""
        return self.rng.choice(
            (
                f"{self.rng.uniform(1, 9999):,.2f}",
                f"{self.rng.randint(0, 999)}",
                f"{self.rng.randint(1, 99)} %",
                self._faker.date(),
            )
        )
