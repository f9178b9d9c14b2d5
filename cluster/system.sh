#!/usr/bin/env bash
# Debian packages that Interlace uses. Installs what is missing when run as root, and says what to type otherwise.
set -euo pipefail
# tesseract reads the scripts that PP-OCRv6 lacks (encoders/ocr/tesseract.py has the same list, and a test compares).
# The fonts are for pages that tests and benchmarks render; chromium opens the report, prometheus scrapes a run in tests.
packages=(
  tesseract-ocr
  tesseract-ocr-script-{cyrl,grek,arab,hebr,deva,beng,guru,gujr,taml,telu,knda,mlym,thai,geor,armn,hang,viet}
  fonts-dejavu-core fonts-liberation fonts-noto-core fonts-noto-cjk
  chromium prometheus
)
# The npm client of the chat API is driven by one test; node may be here from elsewhere.
command -v npm >/dev/null || packages+=(nodejs npm)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if ! command -v apt-get >/dev/null; then
  echo "== this is not Debian: install tesseract with its languages, Noto fonts and chromium by other means"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "== missing Debian packages; scripts beyond Latin and Chinese are not read without them. Type:"
  echo "   sudo apt-get install --no-install-recommends ${missing[*]}"
  exit 0
fi
echo "== Debian packages: ${missing[*]}"
apt-get update -qq
# Debian starts a server as soon as it is installed; the tests start a prometheus of their own.
masked=()
if command -v systemctl >/dev/null && [[ " ${missing[*]} " == *" prometheus "* ]]; then masked=(prometheus.service); fi
if [ ${#masked[@]} -gt 0 ]; then systemctl mask --quiet "${masked[@]}"; fi
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
if [ ${#masked[@]} -gt 0 ]; then systemctl unmask --quiet "${masked[@]}"; systemctl disable --quiet "${masked[@]}"; fi
