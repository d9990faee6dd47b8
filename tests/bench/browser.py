"""How fast Chromium shows the page of a transcript, and what is typed there. Prints JSON, in milliseconds.

Arguments: the address of the page, and the number of keys. Exits with 77 where Chromium or playwright is not installed.
"""

import json
import shutil
import sys

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sys.exit(77)

# From a key to the end of the frame that shows it.
WATCH = """() => {
    window.taken = [];
    addEventListener("keydown", (event) => requestAnimationFrame(() => {
        const painted = new MessageChannel();
        painted.port1.onmessage = () => taken.push([performance.now(), performance.now() - event.timeStamp]);
        painted.port2.postMessage(null);
    }), true);
}"""


def main(address: str, keys: int):
    executable = shutil.which("chromium")
    if not executable:
        sys.exit(77)
    with sync_playwright() as playwright:
        # Chromium refuses to run as root with its own sandbox. It opens only our page.
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = chromium.new_page()
        page.goto(address, wait_until="domcontentloaded")
        page.evaluate(WATCH)
        page.locator(".words > *").nth(3).click()
        page.keyboard.type("a")
        page.wait_for_function("taken.length > 0")
        [[typed, _]] = page.evaluate("taken")
        # As fast as people type.
        page.keyboard.type(("word " * keys)[:keys], delay=90)
        page.wait_for_function("count => taken.length > count", arg=keys)
        taken = sorted(lasted for _, lasted in page.evaluate("taken"))
        paints = {paint["name"]: paint["startTime"] for paint in page.evaluate("performance.getEntriesByType('paint')")}
        shown = page.locator(".words").first.text_content()
        assert "a" + ("word " * keys)[:keys].strip().split()[0] in shown, shown
        chromium.close()
    p99 = taken[min(int(len(taken) * 0.99), len(taken) - 1)]
    print(json.dumps({"first_paint": paints["first-contentful-paint"], "typed": typed, "key_p99": p99}))


main(sys.argv[1], int(sys.argv[2]))
